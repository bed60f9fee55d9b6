/** The documentation: generated pages are current, links lead somewhere, every error code is explained. */

import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { componentDocsFile, optionRows, renderComponentDocs } from "../scripts/component-docs.ts";
import { byteSize, duration, headers, optionalSection, percentage, secret } from "../src/codec/yaml/field-types.ts";
import { parseYaml } from "../src/codec/yaml/parse-yaml.ts";
import { systemClock } from "../src/collector/clock.ts";
import { validateConfig } from "../src/collector/collector.ts";
import { SwitchableLogger } from "../src/collector/switchable-logger.ts";
import { decodePrometheusConfig } from "../src/prometheus/config/decode-prometheus-config.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const pages = globSync(["*.md", "docs/**/*.md", "bench/*.md"], { cwd: root }).sort();
const text = (page: string) => readFileSync(join(root, page), "utf8");

/** The text without blocks and spans of code, whose contents are not Markdown. */
function prose(page: string): string {
  return text(page)
    .replace(/^```[\s\S]*?^```/gm, "")
    .replace(/`[^`\n]*`/g, "");
}

/** The name of a heading in links, as code hosts make it. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Number}_ -]/gu, "")
    .replaceAll(" ", "-");
}

function anchorsOf(page: string): string[] {
  const headings = text(page)
    .replace(/^```[\s\S]*?^```/gm, "")
    .matchAll(/^#+ (.+)$/gm);
  return [...headings].map(([, heading = ""]) => anchorOf(heading));
}

describe("generated pages", () => {
  test("docs/components.md is what npm run docs writes", async () => {
    expect(readFileSync(componentDocsFile, "utf8"), "run `npm run docs`").toBe(await renderComponentDocs());
  });
});

describe("option tables", () => {
  const row = (schema: z.ZodType) => {
    const { type, fallback } = optionRows(z.strictObject({ key: schema }))[0] ?? {};
    return [type, fallback];
  };

  test.each([
    { title: "a text that must be given", schema: z.string(), row: ["text", "required"] },
    { title: "a text that may be left out", schema: z.string().optional(), row: ["text", ""] },
    { title: "a default", schema: z.boolean().default(true), row: ["true or false", "`true`"] },
    { title: "a whole number", schema: z.number().int().min(0).default(1), row: ["whole number", "`1`"] },
    { title: "a number", schema: z.number().default(0.5), row: ["number", "`0.5`"] },
    { title: "a duration", schema: duration().default(300_000), row: ["duration", "`5m`"] },
    { title: "a long duration", schema: duration({ minMs: 1000 }).default(5_400_000), row: ["duration", "`1h30m`"] },
    { title: "a size", schema: byteSize().default(1024), row: ["size", "`1024`"] },
    { title: "a percentage", schema: percentage().optional(), row: ["percentage", ""] },
    { title: "a secret", schema: secret().optional(), row: ["secret text", ""] },
    { title: "words", schema: z.enum(["", "a"]).default("a"), row: ['`""`, `a`', '`"a"`'] },
    { title: "a list", schema: z.array(z.string()).default([]), row: ["list of texts", "`[]`"] },
    { title: "headers", schema: headers().optional(), row: ["map of secret texts or list of sections", ""] },
    { title: "a section", schema: optionalSection(z.strictObject({})), row: ["section", ""] },
  ])("show $title", ({ schema, row: expected }) => {
    expect(row(schema)).toEqual(expected);
  });

  test("go into sections and lists", () => {
    const item = z.strictObject({ name: z.string().describe("Its name.") });
    const schema = z.strictObject({ outer: z.strictObject({ items: z.array(item) }).prefault({ items: [] }) });
    expect(optionRows(schema).map(({ path, description }) => [path, description])).toEqual([
      ["outer", ""],
      ["outer::items", ""],
      ["outer::items[]::name", "Its name."],
    ]);
  });
});

describe("links", () => {
  test.each(pages)("of %s lead to files and headings that exist", (page) => {
    const broken = [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, link = ""]) => link)
      .filter((link) => !/^(https?|mailto):/.test(link))
      .filter((link) => {
        const [path = "", anchor] = link.split("#");
        const file = path === "" ? page : join(dirname(page), path);
        if (!existsSync(resolve(root, file))) return true;
        return anchor !== undefined && !anchorsOf(file).includes(anchor);
      });
    expect(broken).toEqual([]);
  });
});

describe("error codes", () => {
  test("are all explained in docs/errors.md", () => {
    const page = text("docs/errors.md");
    const sources = ["src/model/errors.ts", "src/model/intern-table.ts", "src/transport/http-error.ts"];
    const codes = sources.flatMap((file) => {
      const union = /(?:code = |\| )"([A-Z][A-Z_]+)"/g;
      return [...text(file).matchAll(union)].map(([, code = ""]) => code);
    });
    expect(codes.length).toBeGreaterThan(10);
    expect(codes.filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
  });
});

describe("the README's configurations", () => {
  const blocks = [...text("README.md").matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, block = ""]) => block);
  const [prometheusYaml = "", collectorYaml = ""] = blocks;

  test("for millrace agent is valid", () => {
    const { root, issues } = parseYaml(prometheusYaml, "prometheus.yml");
    const notices: unknown[] = [];
    const notice = (one: unknown) => notices.push(one);
    const decoded = decodePrometheusConfig(root, { mode: "agent", basePath: [], baseDir: "", env: () => "", notice });
    expect([...issues, ...decoded.issues, ...notices]).toEqual([]);
    expect(decoded.config?.remoteWrite).toHaveLength(1);
  });

  test("for millrace run is valid", async () => {
    await validateText(collectorYaml);
  });
});

describe("whole configurations in documents", () => {
  const whole = pages.flatMap((page) =>
    [...text(page).matchAll(/^```yaml\n([\s\S]*?)^```/gm)]
      .map(([, block = ""], index) => ({ page, index, block }))
      .filter(({ block }) => /^service:\n(?: .*\n)* {2}pipelines:/m.test(block)),
  );

  test("are found", () => {
    expect(whole.map(({ page }) => page)).toEqual(expect.arrayContaining(["README.md", "docs/otlp.md"]));
  });

  test.each(whole)("are valid: $page, $index", async ({ block }) => {
    await validateText(block);
  });
});

/** Throws what is wrong. */
async function validateText(yaml: string): Promise<void> {
  await validateConfig({ uris: [`yaml:${yaml}`], sets: [], env: {} }, new SwitchableLogger(), systemClock);
}

describe("dependencies", () => {
  test("all have a reason in docs/dependencies.md", () => {
    const page = text("docs/dependencies.md");
    const { dependencies, optionalDependencies, devDependencies } = JSON.parse(text("package.json")) as Record<
      string,
      Record<string, string>
    >;
    const names = Object.keys({ ...dependencies, ...optionalDependencies, ...devDependencies });
    expect(names.filter((name) => !page.includes(`| \`${name}\``))).toEqual([]);
  });
});

describe("commands", () => {
  test("of npm that the README and AGENTS.md name exist", () => {
    const { scripts } = JSON.parse(text("package.json")) as { scripts: Record<string, string> };
    const named = ["README.md", "AGENTS.md"].flatMap((page) =>
      [...text(page).matchAll(/(?:^|`|&& )npm (?:run )?([a-z0-9:]+)/gm)].map(([, name = ""]) => name),
    );
    const builtIn = ["ci", "install", "pack"];
    expect([...new Set(named)].filter((name) => !builtIn.includes(name) && scripts[name] === undefined)).toEqual([]);
  });
});
