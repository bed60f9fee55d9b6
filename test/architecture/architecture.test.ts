/** The rules of the source tree: layers, entries, sizes, and what may be used where. */

import { describe, expect, test } from "vitest";
import { findCycles, readSources, type SourceFile } from "./sources.ts";

const sources = readSources();
const product = sources.filter((file) => !file.isTest);

/** Lowest first; folders on one line do not import one another. See docs/decisions/0001. */
const layers: readonly (readonly string[])[] = [
  ["kernels"],
  ["model"],
  ["codec"],
  ["transport", "durable"],
  ["prometheus"],
  ["component"],
  ["testing"],
  ["receivers", "processors", "exporters", "connectors", "extensions"],
  ["config"],
  ["registry.ts", "pipeline"],
  ["collector"],
  ["cli", "index.ts"],
];

const componentFolders = ["receivers", "processors", "exporters", "connectors", "extensions"];

/** The default of an option, for an agent's configuration; the collector hands the environment in. */
const environmentDefaults: readonly string[] = ["prometheus/config/decode-prometheus-config.ts"];

/** Loops that are one function for speed, or tables; each says why in its file. */
const longFiles: readonly string[] = [];

const top = (path: string) => path.split("/")[0] ?? "";
const layerOf = (path: string) => layers.findIndex((layer) => layer.includes(top(path).replace(".test.", ".")));
/** `processors/batch` for everything in that folder. */
const componentOf = (path: string) => path.split("/").slice(0, 2).join("/");

/** `path: what` of every violation, so that a failure reads as a list. */
function violations(files: readonly SourceFile[], find: (file: SourceFile) => readonly string[]): string[] {
  return files.flatMap((file) => find(file).map((what) => `${file.path}: ${what}`));
}

function matchingLines(file: SourceFile, pattern: RegExp): string[] {
  return file.lines.flatMap((line, i) =>
    pattern.test(line) && !isComment(line) ? [`line ${i + 1}: ${line.trim()}`] : [],
  );
}

function isComment(line: string): boolean {
  return /^\s*(\*|\/\/|\/\*)/.test(line);
}

describe("layers", () => {
  test("every file stands on a layer", () => {
    expect(violations(sources, (file) => (layerOf(file.path) < 0 ? ["no layer"] : []))).toEqual([]);
  });

  test("imports point to the own folder or to a lower layer", () => {
    const upward = violations(product, (file) =>
      file.imports.filter((path) => top(path) !== top(file.path) && layerOf(path) >= layerOf(file.path)),
    );
    expect(upward).toEqual([]);
  });

  test("components never import one another", () => {
    const crossing = violations(sources, (file) => {
      if (!componentFolders.includes(top(file.path))) return [];
      return file.imports.filter(
        (path) => componentFolders.includes(top(path)) && componentOf(path) !== componentOf(file.path),
      );
    });
    expect(crossing).toEqual([]);
  });

  test("only tests import testing", () => {
    const users = violations(product, (file) =>
      top(file.path) === "testing" ? [] : file.imports.filter((path) => top(path) === "testing"),
    );
    expect(users).toEqual([]);
  });

  test("only the registry names components, and only by import()", () => {
    const named = violations(product, (file) => {
      if (componentFolders.includes(top(file.path))) return [];
      const paths = file.path === "registry.ts" ? file.staticImports : file.imports;
      return paths.filter((path) => componentFolders.includes(top(path)));
    });
    expect(named).toEqual([]);
  });

  test("no files load one another in a circle", () => {
    expect(findCycles(product).map((cycle) => cycle.join(" -> "))).toEqual([]);
  });
});

describe("what may be used where", () => {
  test("there are three index files", () => {
    const indexes = sources.map((file) => file.path).filter((path) => path.endsWith("index.ts"));
    expect(indexes).toEqual(["component/index.ts", "index.ts", "testing/index.ts"]);
  });

  test("process.env is read in config and cli only", () => {
    const readers = violations(
      product.filter((file) => !["config", "cli"].includes(top(file.path)) && !environmentDefaults.includes(file.path)),
      (file) => matchingLines(file, /\bprocess\.env\b/),
    );
    expect(readers).toEqual([]);
  });

  test("process.exit is called in cli only", () => {
    const callers = violations(
      product.filter((file) => top(file.path) !== "cli"),
      (file) => matchingLines(file, /\bprocess\.exit\b/),
    );
    expect(callers).toEqual([]);
  });

  test("components have a default export, named like their folder, and nothing else has one", () => {
    const isEntry = (path: string) => /^(\w+)\/(\w+)\/\2\.ts$/.test(path) && componentFolders.includes(top(path));
    const wrong = violations(product, (file) => {
      const has = /^export default /m.test(file.text);
      if (has && !isEntry(file.path)) return ["default export"];
      return !has && isEntry(file.path) ? ["no default export"] : [];
    });
    expect(wrong).toEqual([]);
  });

  test("nothing writes to the console past the log", () => {
    expect(violations(product, (file) => matchingLines(file, /\bconsole\.\w+\(/))).toEqual([]);
  });
});

describe("shape of files", () => {
  test("files have at most 400 lines, but for those named here", () => {
    const long = product.filter((file) => file.lines.length - 1 > 400).map((file) => file.path);
    expect(long.filter((path) => !longFiles.includes(path))).toEqual([]);
  });

  test("source is ASCII", () => {
    expect(violations(sources, (file) => (/[^\x00-\x7f]/.test(file.text) ? ["not ASCII"] : []))).toEqual([]);
  });

  test("every product file begins with a sentence that says what it is for", () => {
    const silent = violations(product, (file) => (/^(#!.*\n)?\/\*\*/.test(file.text) ? [] : ["no comment"]));
    expect(silent).toEqual([]);
  });

  test("names are kebab-case, and component entries are named like their type", () => {
    const odd = violations(sources, (file) => {
      const name = file.path.split("/").at(-1) ?? "";
      const isComponentName =
        componentFolders.includes(top(file.path)) && name.startsWith(`${file.path.split("/")[1]}.`);
      return isComponentName || /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)*\.ts$/.test(name) ? [] : ["name"];
    });
    expect(odd).toEqual([]);
  });
});
