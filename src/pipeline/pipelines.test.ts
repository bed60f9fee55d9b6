import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { ConfigError } from "../model/errors.ts";
import { createTestProcess } from "./test-graph.ts";

const one = { metrics: { receivers: ["in"], processors: ["p"], exporters: ["out"] } };

describe("life", () => {
  test("starts extensions, exporters, what feeds them, receivers; ends the other way round", async () => {
    const { pipelines, setup, events } = createTestProcess();
    const graph = {
      "metrics/behind": { fromConnectors: ["c"], processors: ["q"], exporters: ["out"] },
      metrics: { receivers: ["in"], processors: ["p1", "p2"], toConnectors: ["c"] },
    };
    await pipelines.start(setup(graph, {}, ["e1", "e2"]));
    const starts = events.splice(0);
    await pipelines.shutdown(1000);
    expect(starts.map((event) => event.replace("start ", ""))).toEqual([
      "extension:e1",
      "extension:e2",
      "exporter:out",
      "processor:q",
      "connector:c",
      "processor:p2",
      "processor:p1",
      "receiver:in",
    ]);
    expect(events.map((event) => event.replace("end ", ""))).toEqual([
      "receiver:in",
      "processor:p1",
      "processor:p2",
      "connector:c",
      "processor:q",
      "exporter:out",
      "extension:e2",
      "extension:e1",
    ]);
  });

  test("what a processor holds reaches the exporter before it ends", async () => {
    const { pipelines, setup, send, batch, sink, events } = createTestProcess();
    await pipelines.start(setup(one, { "processor:p": { holds: true } }));
    const answer = send("in", batch(3));
    await turn();
    expect(sink("out").rows()).toBe(0);
    await pipelines.shutdown(1000);
    await answer;
    expect(sink("out").rows()).toBe(3);
    expect(events.slice(-2)).toEqual(["end processor:p", "end exporter:out"]);
  });

  test("a component that cannot start is named, and what had started has ended", async () => {
    const { pipelines, setup, events } = createTestProcess();
    const start = pipelines.start(setup(one, { "receiver:in": { failStart: new Error("no port") } }));
    await expect(start).rejects.toThrow(new ConfigError([{ path: "receivers::in", message: "cannot start: no port" }]));
    expect(events.filter((event) => event.startsWith("end"))).toEqual([
      "end receiver:in",
      "end processor:p",
      "end exporter:out",
    ]);
  });

  test("a component that never ends is left behind soon after the deadline, and the others end", async () => {
    const { pipelines, setup, events, log } = createTestProcess();
    await pipelines.start(setup(one, { "processor:p": { hangs: true } }));
    await pipelines.shutdown(30);
    expect(events.slice(-2)).toEqual(["end receiver:in", "end exporter:out"]);
    expect(log.entries.map((entry) => entry.message)).toEqual(["Component did not shut down in time"]);
  });

  test("ends twice, and before it has started", async () => {
    const { pipelines, setup, events, send, batch } = createTestProcess();
    await createTestProcess().pipelines.shutdown(10);
    await pipelines.start(setup(one));
    await Promise.all([pipelines.shutdown(1000), pipelines.shutdown(1000)]);
    expect(events.filter((event) => event === "end receiver:in")).toHaveLength(1);
    await expect(send("in", batch())).rejects.toMatchObject({ code: "CONSUME_SHUTDOWN", permanent: false });
  });
});

describe("data", () => {
  test("a receiver feeds every pipeline that names it, an exporter takes from every pipeline", async () => {
    const { pipelines, setup, send, batch, sink } = createTestProcess();
    await pipelines.start(
      setup({
        "metrics/a": { receivers: ["in"], processors: ["p"], exporters: ["out", "other"] },
        "metrics/b": { receivers: ["in"], exporters: ["out"] },
      }),
    );
    await send("in", batch(2));
    expect([sink("out").rows(), sink("other").rows()]).toEqual([4, 2]);
  });

  test("a connector joins pipelines", async () => {
    const { pipelines, setup, send, batch, sink } = createTestProcess();
    await pipelines.start(
      setup({
        "metrics/x": { fromConnectors: ["c"], exporters: ["x"] },
        "metrics/y": { fromConnectors: ["c"], exporters: ["y"] },
        "metrics/a": { receivers: ["a"], toConnectors: ["c"] },
        "metrics/b": { receivers: ["b"], toConnectors: ["c"], exporters: ["x"] },
      }),
    );
    await send("a", batch(1));
    await send("b", batch(2));
    expect([sink("x").rows(), sink("y").rows()]).toEqual([5, 3]);
  });

  test("an unexpected error is a permanent refusal, logged once", async () => {
    const { pipelines, setup, send, batch, log, clock } = createTestProcess();
    await pipelines.start(setup(one, { "processor:p": { throws: new TypeError("x is not a function") } }));
    for (let i = 0; i < 3; i++) {
      await expect(send("in", batch())).rejects.toMatchObject({ code: "CONSUME_REFUSED", permanent: true });
    }
    expect(log.entries).toHaveLength(1);
    expect(log.entries[0]?.fields).toMatchObject({ "otelcol.component.id": "p", error: "x is not a function" });
    await clock.advance(60_000);
    await expect(send("in", batch())).rejects.toThrow();
    expect(log.entries).toHaveLength(2);
  });

  test("counts as the Collector does", async () => {
    const { pipelines, setup, send, batch, sink, counters } = createTestProcess();
    await pipelines.start(setup(one));
    await send("in", batch(5));
    sink("out").mode = "retryable";
    await expect(send("in", batch(2))).rejects.toThrow();
    expect(counters("otelcol_")).toEqual([
      'otelcol_exporter_send_failed_metric_points{"exporter":"out"} 2',
      'otelcol_exporter_sent_metric_points{"exporter":"out"} 5',
      'otelcol_processor_incoming_items{"otel_signal":"metrics","processor":"p"} 7',
      'otelcol_processor_outgoing_items{"otel_signal":"metrics","processor":"p"} 7',
      'otelcol_receiver_accepted_metric_points{"receiver":"in","transport":"test"} 5',
      'otelcol_receiver_failed_metric_points{"receiver":"in","transport":"test"} 0',
      'otelcol_receiver_refused_metric_points{"receiver":"in","transport":"test"} 2',
    ]);
  });
});

describe("background work", () => {
  test("a loop that crashes makes its component fail for good, and data goes on", async () => {
    const { pipelines, setup, send, batch, sink } = createTestProcess();
    const crash = Promise.withResolvers<never>();
    await pipelines.start(setup(one, { "processor:p": { crashLoop: crash.promise } }));
    expect(pipelines.isReady()).toBe(true);
    crash.reject(new Error("boom"));
    await turn();
    expect(pipelines.isReady()).toBe(false);
    expect(pipelines.statuses().get("processor:metrics:p")).toEqual({ state: "permanent", message: "loop: boom" });
    await send("in", batch(1));
    expect(sink("out").rows()).toBe(1);
    await pipelines.reload(setup(one));
    expect(pipelines.isReady()).toBe(true);
    await pipelines.shutdown(1000);
  });
});
