import { describe, expect, test } from "vitest";
import { buildLogs, buildTraces } from "../testing/build-otlp.ts";
import { createTestProcess } from "./test-graph.ts";

const traces = buildTraces([{ name: "a" }, { name: "b" }]);
const logs = buildLogs([{ body: "c" }]);
const turn = () => new Promise(setImmediate);

describe("pipelines of three signals", () => {
  test("each signal goes through its own pipelines only, exporters and receivers are shared", async () => {
    const { pipelines, setup, send, sink, batch, taken } = createTestProcess();
    await pipelines.start(
      setup({
        metrics: { receivers: ["in"], exporters: ["all"] },
        "traces/1": { receivers: ["in"], processors: ["p"], exporters: ["all", "more"] },
        logs: { receivers: ["other"], exporters: ["all"] },
      }),
    );
    const metrics = batch(2);
    await send("in", metrics);
    await send("in", traces);
    await send("other", logs);
    expect(sink("all").taken).toEqual([metrics, traces, logs]);
    expect(sink("more").taken).toEqual([traces]);
    expect([taken("in"), taken("other")]).toEqual([["metrics", "traces"], ["logs"]]);
  });

  test("a signal that no pipeline takes is refused, until a reload gives it one", async () => {
    const { pipelines, setup, send, sink, taken } = createTestProcess();
    const one = { metrics: { receivers: ["in"], exporters: ["out"] } };
    await pipelines.start(setup(one));
    await expect(send("in", logs)).rejects.toMatchObject({ code: "CONSUME_SHUTDOWN", permanent: false });
    await pipelines.reload(setup({ ...one, logs: { receivers: ["in"], exporters: ["out"] } }));
    await send("in", logs);
    expect([sink("out").taken, taken("in")]).toEqual([[logs], ["metrics", "logs"]]);
  });

  test("counts spans and log records by the Collector's names", async () => {
    const { pipelines, setup, send, counters } = createTestProcess();
    await pipelines.start(
      setup({
        traces: { receivers: ["in"], processors: ["p"], exporters: ["out"] },
        logs: { receivers: ["in"], exporters: ["out"] },
      }),
    );
    await send("in", traces);
    await send("in", logs);
    expect(counters("otelcol_receiver_accepted")).toEqual([
      'otelcol_receiver_accepted_log_records{"receiver":"in","transport":"test"} 1',
      'otelcol_receiver_accepted_spans{"receiver":"in","transport":"test"} 2',
    ]);
    expect(counters("otelcol_exporter_sent")).toEqual([
      'otelcol_exporter_sent_log_records{"exporter":"out"} 1',
      'otelcol_exporter_sent_spans{"exporter":"out"} 2',
    ]);
    expect(counters("otelcol_processor_incoming")).toEqual([
      'otelcol_processor_incoming_items{"otel_signal":"traces","processor":"p"} 2',
    ]);
  });

  test("a connector has an instance for each signal", async () => {
    const { pipelines, setup, send, sink, events } = createTestProcess();
    await pipelines.start(
      setup({
        "traces/2": { fromConnectors: ["c"], exporters: ["traced"] },
        "logs/2": { fromConnectors: ["c"], exporters: ["logged"] },
        traces: { receivers: ["in"], toConnectors: ["c"] },
        logs: { receivers: ["in"], toConnectors: ["c"] },
      }),
    );
    await send("in", traces);
    await send("in", logs);
    await turn();
    expect([sink("traced").taken, sink("logged").taken]).toEqual([[traces], [logs]]);
    expect(events.filter((event) => event === "start connector:c")).toHaveLength(2);
  });

  test("a component without a function for its pipeline's signal is a ConfigError", async () => {
    const { pipelines, setup } = createTestProcess();
    const graph = { traces: { receivers: ["in"], exporters: ["out"] } };
    const started = pipelines.start(setup(graph, { "exporter:out": { only: "metrics" } }));
    await expect(started).rejects.toThrow("exporters::out: cannot be created: telemetry type is not supported");
  });
});
