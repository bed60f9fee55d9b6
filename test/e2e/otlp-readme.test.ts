/** The OTLP examples of the README and of docs/otlp.md, run as they stand there, on ports of their own. */

import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { freePort } from "../kit/free-port.ts";
import { millrace, startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const repo = new URL("../../", import.meta.url);

/** The first code block of the language that holds the text. */
function blockWith(page: string, language: string, wanted: string): string {
  const text = readFileSync(new URL(page, repo), "utf8");
  const blocks = [...text.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, "gm"))].map(
    ([, block]) => block,
  );
  const found = blocks.find((block) => block?.includes(wanted));
  if (found === undefined) throw new Error(`${page} has no ${language} with ${wanted}`);
  return found;
}

const hasCurl = spawnSync("curl", ["--version"]).status === 0;

it.skipIf(!hasCurl).each(["README.md", "docs/otlp.md"])(
  "the example of %s prints what its curl sends (needs curl)",
  async (page) => {
    using folder = createTempFolder("otlp-readme");
    const [grpc, http] = [await freePort(), await freePort()];
    const sets = {
      "receivers.otlp.protocols.grpc.endpoint": `127.0.0.1:${grpc}`,
      "receivers.otlp.protocols.http.endpoint": `127.0.0.1:${http}`,
      "service.telemetry.metrics.level": "none",
    };
    const flags = Object.entries(sets).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
    const file = folder.write("otlp.yaml", blockWith(page, "yaml", "otlp:"));
    await using run = await startMillraceRun(file, "--shutdown-timeout=1s", ...flags);
    const command = blockWith(page, "sh", "curl").replaceAll("localhost:4318", `127.0.0.1:${http}`);
    const answer = execFileSync("sh", ["-c", command.replace("curl", "curl -sS -w '%{http_code}'")], {
      encoding: "utf8",
    });
    expect(answer).toMatch(/200$/);
    await waitFor("the record", () => run.lines("Body: Str(hello)").length > 0);
  },
);

it.each(["README.md", "docs/otlp.md"])("the example of %s is valid as it stands", (page) => {
  using folder = createTempFolder("otlp-readme-valid");
  const file = folder.write("otlp.yaml", blockWith(page, "yaml", "otlp:"));
  const { file: command, args } = millrace("millrace validate", "validate", "--config", file);
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
  const notes = stderr.split("\n").filter((line) => line !== "" && !line.includes("is an older name of"));
  expect([status, notes]).toEqual([0, []]);
});
