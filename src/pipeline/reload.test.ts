import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { createTestProcess, type Fault } from "./test-graph.ts";

const one = { metrics: { receivers: ["in"], processors: ["p"], exporters: ["out"] } };
const isEnd = (event: string) => event.startsWith("end");

describe("reload", () => {
  test("touches nothing when nothing changed", async () => {
    const { pipelines, setup, events, send, batch, sink } = createTestProcess();
    await pipelines.start(setup(one, {}, ["e"]));
    events.length = 0;
    await pipelines.reload(setup(one, {}, ["e"]));
    await send("in", batch());
    expect([events, sink("out").rows()]).toEqual([[], 1]);
  });

  test("switches a changed exporter in, while the others go on", async () => {
    const { pipelines, setup, events, send, batch, sink } = createTestProcess();
    await pipelines.start(setup(one));
    await send("in", batch(1));
    events.length = 0;
    await pipelines.reload(setup(one, { "exporter:out": { version: "2" } }));
    await send("in", batch(2));
    await turn();
    expect([sink("out").rows(), sink("out@2").rows()]).toEqual([1, 2]);
    expect(events).toEqual(["start exporter:out@2", "end exporter:out"]);
  });

  test.each([
    ["one that was replaced before its own predecessor had ended", one, { version: "2" }],
    ["one that comes back while it still ends", { metrics: { receivers: ["in"], exporters: ["other"] } }, {}],
  ])("an exporter has its turn after all before it: %s", async (_title, between, fault) => {
    const { pipelines, setup, events } = createTestProcess();
    const end = Promise.withResolvers<void>();
    await pipelines.start(setup(one, { "exporter:out": { endsAfter: end.promise } }));
    await pipelines.reload(setup(between, { "exporter:out": fault }));
    await pipelines.reload(setup(one, { "exporter:out": { version: "3", notesTurn: true } }));
    for (let i = 0; i < 5; i++) await turn();
    const ofOut = () => events.filter((event) => /^(end|turn) exporter:out/.test(event));
    expect(ofOut()).toEqual("version" in fault ? ["end exporter:out@2"] : []);
    end.resolve();
    for (let i = 0; i < 5; i++) await turn();
    expect(ofOut().slice(-2)).toEqual(["end exporter:out", "turn exporter:out@3"]);
    await pipelines.shutdown(1000);
  });

  test("a replaced processor drains into what stood behind it", async () => {
    const { pipelines, setup, send, batch, sink } = createTestProcess();
    await pipelines.start(setup(one, { "processor:p": { holds: true } }));
    const held = send("in", batch(3));
    await turn();
    await pipelines.reload(setup(one, { "processor:p": { version: "2" }, "exporter:out": { version: "2" } }));
    await send("in", batch(1));
    await held;
    expect([sink("out").rows(), sink("out@2").rows()]).toEqual([3, 1]);
  });

  test("changes which pipelines a receiver that goes on feeds", async () => {
    const { pipelines, setup, events, send, batch, sink } = createTestProcess();
    await pipelines.start(setup(one));
    events.length = 0;
    const two = { ...one, "metrics/2": { receivers: ["in"], exporters: ["more"] } };
    await pipelines.reload(setup(two));
    await send("in", batch());
    await pipelines.reload(setup({ "metrics/2": two["metrics/2"] }));
    await send("in", batch());
    await turn();
    expect([sink("out").rows(), sink("more").rows()]).toEqual([1, 2]);
    expect(events).toEqual(["start exporter:more", "end processor:p", "end exporter:out"]);
  });

  test("stops a changed receiver before its successor starts, and reconfigures one that can be", async () => {
    const { pipelines, setup, events } = createTestProcess();
    const graph = { metrics: { receivers: ["plain", "able"], exporters: ["out"] } };
    await pipelines.start(setup(graph, { "receiver:able": { reconfigurable: true } }));
    events.length = 0;
    const able = { reconfigurable: true, version: "2" };
    await pipelines.reload(setup(graph, { "receiver:plain": { version: "2" }, "receiver:able": able }));
    expect(events).toEqual(["end receiver:plain", "start receiver:plain@2", "reconfigure receiver:able@2"]);
  });

  test.each<{ title: string; faults: Record<string, Fault> }>([
    { title: "an exporter cannot start", faults: { "exporter:out": { version: "2", failStart: new Error("no") } } },
    { title: "an extension cannot start", faults: { "extension:e": { version: "2", failStart: new Error("no") } } },
    { title: "a receiver cannot start", faults: { "receiver:in": { version: "2", failStart: new Error("no") } } },
    {
      title: "the last of several cannot start",
      faults: {
        "exporter:out": { version: "2" },
        "extension:e": { version: "2" },
        "receiver:in": { version: "2", failStart: new Error("no") },
      },
    },
  ])("all goes on as before when $title", async ({ faults }) => {
    const { pipelines, setup, events, send, batch, sink } = createTestProcess();
    await pipelines.start(setup(one, {}, ["e"]));
    await expect(pipelines.reload(setup(one, faults, ["e"]))).rejects.toThrow("cannot start: no");
    await send("in", batch(2));
    expect([sink("out").rows(), sink("out@2").rows(), pipelines.isReady()]).toEqual([2, 0, true]);
    events.length = 0;
    await pipelines.shutdown(1000);
    expect(events).toEqual(["end receiver:in", "end processor:p", "end exporter:out", "end extension:e"]);
  });

  test("a receiver that was reconfigured gets its old configuration back when a later one fails", async () => {
    const { pipelines, setup, events } = createTestProcess();
    const graph = { metrics: { receivers: ["a", "b"], exporters: ["out"] } };
    const able = { reconfigurable: true };
    await pipelines.start(setup(graph, { "receiver:a": able, "receiver:b": able }));
    events.length = 0;
    const faults = {
      "receiver:a": { ...able, version: "2" },
      "receiver:b": { ...able, version: "2", failReconfigure: new Error("no") },
    };
    await expect(pipelines.reload(setup(graph, faults))).rejects.toThrow("cannot take the new configuration: no");
    expect(events.filter((event) => event.includes(":a"))).toEqual([
      "reconfigure receiver:a@2",
      "reconfigure receiver:a@1",
    ]);
    expect(events.some(isEnd)).toBe(false);
  });

  test("loses and doubles nothing that is sent while it runs", async () => {
    const { pipelines, setup, send, batch, sink } = createTestProcess();
    await pipelines.start(setup(one));
    let sent = 0;
    let isDone = false;
    const load = (async () => {
      while (!isDone) {
        await send("in", batch());
        sent++;
        await turn();
      }
    })();
    for (let version = 2; version < 12; version++) {
      await pipelines.reload(
        setup(one, { "processor:p": { version: `${version}` }, "exporter:out": { version: `${version % 2}` } }),
      );
      await turn();
    }
    isDone = true;
    await load;
    await pipelines.shutdown(1000);
    expect(sink("out").rows() + sink("out@0").rows() + sink("out@1").rows()).toBe(sent);
  });

  test("the counters of a component that is gone leave the page, those of a changed one go on", async () => {
    const { pipelines, setup, send, batch, counters } = createTestProcess();
    const both = { metrics: { receivers: ["in"], exporters: ["out", "gone"] } };
    await pipelines.start(setup(both));
    await send("in", batch(2));
    await pipelines.reload(
      setup({ metrics: { receivers: ["in"], exporters: ["out"] } }, { "exporter:out": { version: "2" } }),
    );
    await send("in", batch(1));
    expect(counters("otelcol_exporter_sent")).toEqual(['otelcol_exporter_sent_metric_points{"exporter":"out"} 3']);
  });
});
