import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = new URL("../../", import.meta.url);

/** Maps the public names to the sources, as the command does for components from outside. */
const hooks = `
import { registerHooks } from "node:module";
registerHooks({
  resolve(specifier, context, next) {
    const entry = /^millrace\\/(component|testing)$/.exec(specifier);
    return entry === null
      ? next(specifier, context)
      : { url: new URL("src/" + entry[1] + "/index.ts", ${JSON.stringify(root.href)}).href, shortCircuit: true };
  },
});`;

const program = `${hooks}
const { default: renameLabel } = await import(${JSON.stringify(new URL("examples/rename_label.ts", root).href)});
const { buildSamples, contractTests, runProcessor } = await import("millrace/testing");
const { batchPoints, groupPoints, pointAttributes } = await import("millrace/component");

const config = { from: "exporter", to: "sink" };
for (const { run } of contractTests(renameLabel, { example: config })) await run();
const page = buildSamples([
  { name: "sent", labels: { exporter: "debug" }, value: 1 },
  { name: "up", value: 1 },
]);
const [out] = await runProcessor(renameLabel, config, page);
const [{ scopes: [{ metrics }] }] = groupPoints(batchPoints(out));
const labels = metrics.map(({ points: [point] }) => Object.fromEntries(pointAttributes(point)));
console.log(JSON.stringify(labels));
`;

test("the example processor runs as it is, keeps the contract, and renames the label", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program]);
  expect(JSON.parse(stdout)).toEqual([{ sink: "debug" }, {}]);
  expect(readFileSync(new URL("examples/rename_label.ts", root), "utf8").split("\n").length).toBeLessThan(40);
});
