/** A component that lives outside of the package: the example as it is, and a copy in a folder of its own. */

import { copyFileSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { PageExporter } from "../kit/page-exporter.ts";
import { TestProcess } from "../kit/processes.ts";
import { RecordingSink } from "../kit/recording-sink.ts";
import { millrace, startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";

const examples = fileURLToPath(new URL("../../examples/", import.meta.url));
const maxLines = 40;

interface ExampleFile {
  exporters: Record<string, unknown>;
  receivers: { prometheus: { config: { scrape_configs: Record<string, unknown>[] } } };
  processors: { rename_label: { from: string; to: string } };
  service: { components: string[]; telemetry?: unknown; pipelines: { metrics: { exporters: string[] } } };
}

/** The example's configuration, but with its scrapes and its output where the test sees them. */
function example(target: string, endpoint: string): ExampleFile {
  const config = parse(readFileSync(`${examples}rename_label.yaml`, "utf8")) as ExampleFile;
  Object.assign(config.receivers.prometheus.config.scrape_configs[0] ?? {}, {
    scrape_interval: "200ms",
    scrape_timeout: "200ms",
    static_configs: [{ targets: [target] }],
  });
  config.exporters = { prometheus_remote_write: { endpoint } };
  config.service.pipelines.metrics.exporters = ["prometheus_remote_write"];
  config.service.telemetry = {
    metrics: { readers: [{ pull: { exporter: { prometheus: { host: "127.0.0.1", port: 0 } } } }] },
  };
  return config;
}

describe("a component from outside", () => {
  it("is short", () => {
    expect(readFileSync(`${examples}rename_label.ts`, "utf8").split("\n").length).toBeLessThan(maxLines);
  });

  it("is valid as the example names it", async () => {
    await using validate = new TestProcess(
      millrace("millrace", "validate", "--config", `${examples}rename_label.yaml`),
    );
    expect({ ...(await validate.ended), output: validate.output }).toEqual({ code: 0, signal: null, output: "" });
  });

  it("runs from a folder outside of the package, named beside its configuration", async () => {
    using folder = createTempFolder("outside");
    await using sink = await RecordingSink.start();
    await using exporter = await PageExporter.start(1000);
    const config = example(exporter.address, sink.url("/write"));
    const { from, to } = config.processors.rename_label;
    exporter.add("metrics", () => ({ body: `queue_size{${from}="x",kept="y"} 5\nplain 1\n` }));
    copyFileSync(`${examples}rename_label.ts`, folder.file("rename_label.ts"));
    await using run = await startMillraceRun(folder.write("rename_label.yaml", stringify(config)));
    await sink.path("/write").waitForSample({ __name__: "queue_size", [to]: "x", kept: "y", [from]: "" });
    await sink.path("/write").waitForSample({ __name__: "plain" });
    expect(sink.path("/write").find({ [from]: "x" })).toEqual([]);
    expect(await run.stop()).toEqual({ code: 0, signal: null });
  });

  it("says by file and key what is wrong with one", async () => {
    using folder = createTempFolder("outside-bad");
    const config = example("127.0.0.1:1", "http://127.0.0.1:1/");
    const file = folder.write("config.yaml", stringify(config));
    const validate = async () => {
      await using process = new TestProcess(millrace("millrace", "validate", "--config", file));
      const { code } = await process.ended;
      return { code, output: process.output };
    };
    const key = "service::components[0]";
    expect(await validate()).toEqual({ code: 1, output: expect.stringContaining(key) });
    folder.write("rename_label.ts", "export default 1;\n");
    expect(await validate()).toEqual({ code: 1, output: expect.stringContaining(key) });
    folder.write("rename_label.ts", "this is no TypeScript\n");
    expect(await validate()).toEqual({ code: 1, output: expect.stringContaining(key) });
    copyFileSync(`${examples}rename_label.ts`, folder.file("rename_label.ts"));
    folder.write("config.yaml", stringify({ ...config, processors: { rename_label: { from: "a", too: "b" } } }));
    expect(await validate()).toEqual({ code: 1, output: expect.stringMatching(/processors::rename_label::too.*"to"/) });
  });
});
