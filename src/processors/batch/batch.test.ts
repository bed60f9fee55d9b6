import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeMetricsJson } from "../../codec/otlp-json/encode-metrics.ts";
import { batchPoints } from "../../codec/otlp-json/group-points.ts";
import { countItems } from "../../model/any-batch.ts";
import { countRows, type MetricsBatch } from "../../model/batch.ts";
import { clientInfo } from "../../model/client-info.ts";
import { ConsumeError } from "../../model/errors.ts";
import { Identities } from "../../model/identities.ts";
import type { LogsBatch, TracesBatch } from "../../model/otlp-request.ts";
import { buildLogs, buildTraces } from "../../testing/build-otlp.ts";
import {
  buildExponentialHistograms,
  buildHistograms,
  buildNumbers,
  buildSummaries,
} from "../../testing/build-points.ts";
import { buildSamples } from "../../testing/build-samples.ts";
import { runProcessor } from "../../testing/run-processor.ts";
import { createMetricsSink } from "../../testing/sink.ts";
import { createTestContext, parseConfig } from "../../testing/test-context.ts";
import batch from "./batch.ts";
import { slicePoints } from "./split-segment.ts";

const identities = new Identities();
let counter = 0;

/** A batch of `rows` gauges with values of their own. */
function gauges(rows: number): MetricsBatch {
  return buildNumbers(
    Array.from({ length: rows }, () => ({ name: "m", value: counter++ })),
    { identities },
  );
}

function setUp(section: object = {}) {
  const test = createTestContext(parseConfig(batch, section) as never, { id: "batch" });
  const processor = batch.create(test.context);
  const sink = createMetricsSink();
  const settled: string[] = [];
  const push = (data: MetricsBatch, name = "") => {
    const call = processor.metrics?.(data, sink) ?? Promise.resolve();
    call.then(
      () => settled.push(`${name} taken`),
      (error: ConsumeError) => settled.push(`${name} ${error.permanent ? "refused" : "retry"}`),
    );
    return call;
  };
  test.startLoops();
  const shutdown = async (deadline = new AbortController().signal) => {
    await test.stopLoops();
    await processor.shutdown?.(deadline);
  };
  return { ...test, processor, sink, push, settled, shutdown };
}

const sizes = (sink: { batches: readonly MetricsBatch[] }) => sink.batches.map(countRows);

describe("batch", () => {
  test("hands on joined segments, unchanged, when the timeout is over", async () => {
    const { clock, push, sink, settled, shutdown } = setUp();
    const [a, b] = [gauges(2), gauges(3)];
    push(a, "a");
    await clock.advance(150);
    push(b, "b");
    await clock.advance(49);
    expect(sizes(sink)).toEqual([]);
    await clock.advance(1);
    expect(sink.batches[0]?.segments).toEqual([...a.segments, ...b.segments]);
    expect(sink.batches[0]?.segments[0]).toBe(a.segments[0]);
    expect(settled).toEqual(["a taken", "b taken"]);
    await shutdown();
  });

  test("counts the timeout from the first data, again after each batch", async () => {
    const { clock, push, sink, shutdown } = setUp({ timeout: "1s" });
    await clock.advance(5000);
    push(gauges(1));
    await clock.advance(999);
    expect(sizes(sink)).toEqual([]);
    await clock.advance(501);
    push(gauges(2));
    await clock.advance(999);
    expect(sizes(sink)).toEqual([1]);
    await clock.advance(1);
    expect(sizes(sink)).toEqual([1, 2]);
    await shutdown();
  });

  test("hands on at once what reaches send_batch_size, and restarts the timeout", async () => {
    const { clock, push, sink, shutdown, meter } = setUp({ send_batch_size: 4 });
    push(gauges(3));
    await clock.advance(100);
    push(gauges(3));
    await clock.advance(0);
    expect(sizes(sink)).toEqual([6]);
    push(gauges(1));
    await clock.advance(199);
    expect(sizes(sink)).toEqual([6]);
    await clock.advance(1);
    expect(sizes(sink)).toEqual([6, 1]);
    await shutdown();
    const values = Object.fromEntries(meter.collect().map(({ name, samples }) => [name, samples.at(-1)?.value]));
    expect(values).toEqual({
      otelcol_processor_batch_batch_send_size: 2,
      otelcol_processor_batch_batch_size_trigger_send: 1,
      otelcol_processor_batch_metadata_cardinality: 1,
      otelcol_processor_batch_timeout_trigger_send: 1,
    });
  });

  test.each([{ timeout: "0s" }, { send_batch_size: 0 }])("hands on at once with %j", async (section) => {
    const { push, sink, shutdown } = setUp(section);
    await push(gauges(3));
    await push(gauges(1));
    expect(sizes(sink)).toEqual([3, 1]);
    await shutdown();
  });

  test("cuts at send_batch_max_size and answers when every piece was taken", async () => {
    const { clock, push, sink, settled, shutdown } = setUp({ send_batch_size: 4, send_batch_max_size: 4 });
    push(gauges(10), "a");
    await clock.advance(0);
    expect([sizes(sink), settled]).toEqual([[4, 4], []]);
    await clock.advance(200);
    expect([sizes(sink), settled]).toEqual([[4, 4, 2], ["a taken"]]);
    await shutdown();
  });

  test("refuses a sender whose data was refused in part, and no other", async () => {
    const { clock, push, sink, settled, shutdown } = setUp({ send_batch_size: 2, send_batch_max_size: 2 });
    sink.mode = "permanent";
    push(gauges(2), "a");
    await clock.advance(0);
    sink.mode = "accept";
    push(gauges(2), "b");
    await clock.advance(0);
    expect(settled).toEqual(["a refused", "b taken"]);
    await shutdown();
  });

  test("sends one batch at a time, in order", async () => {
    const { processor, clock, shutdown } = setUp({ send_batch_size: 1 });
    const gates: (() => void)[] = [];
    const slow = { metrics: () => new Promise<void>((resolve) => gates.push(resolve)) };
    const calls = [1, 2, 3].map((rows) => processor.metrics?.(gauges(rows), slow));
    await clock.advance(0);
    expect(gates.length).toBe(1);
    gates[0]?.();
    await clock.advance(0);
    expect(gates.length).toBe(2);
    gates[1]?.();
    await Promise.all(calls);
    await shutdown();
  });

  test("flushes on shutdown and refuses what comes later, retryably", async () => {
    const { push, sink, settled, shutdown } = setUp({ timeout: "1h" });
    push(gauges(2), "a");
    await shutdown();
    await shutdown();
    expect(sizes(sink)).toEqual([2]);
    await push(gauges(1), "b").catch(() => {});
    expect(settled).toEqual(["a taken", "b retry"]);
  });

  test("gives up at the deadline and refuses what was not taken", async () => {
    const { processor, clock, shutdown } = setUp({ send_batch_size: 1, send_batch_max_size: 1 });
    const hanging = { metrics: () => new Promise<void>(() => {}) };
    const calls = [processor.metrics?.(gauges(1), hanging), processor.metrics?.(gauges(2), hanging)];
    await clock.advance(0);
    await shutdown(AbortSignal.abort());
    const results = await Promise.allSettled(calls);
    expect(results.map((result) => result.status === "rejected" && (result.reason as ConsumeError).code)).toEqual([
      "CONSUME_SHUTDOWN",
      "CONSUME_SHUTDOWN",
    ]);
  });

  test("passes an empty batch without a word", async () => {
    const { push, sink, shutdown } = setUp();
    await push(gauges(0));
    expect(sizes(sink)).toEqual([]);
    await shutdown();
  });

  test.each([
    [{ send_batch_max_size: 10 }, "at least send_batch_size"],
    [{ metadata_keys: ["a", "A"] }, "twice"],
    [{ timeout: "-1s" }, "timeout"],
    [{ send_batch_sise: 10 }, "send_batch_sise"],
  ])("refuses %j", (section, message) => {
    expect(() => parseConfig(batch, section)).toThrow(message);
  });
});

describe("slicePoints", () => {
  const rows = [0, 1, 2, 3];
  const kinds: [string, MetricsBatch][] = [
    [
      "numbers",
      buildNumbers(rows.map((i) => ({ name: "n", value: i % 2 ? BigInt(i) : i, exemplars: [{ value: i }] }))),
    ],
    ["histograms", buildHistograms(rows.map((i) => ({ name: "h", bounds: [i], buckets: [1n, BigInt(i)], sum: i })))],
    ["exponential histograms", buildExponentialHistograms(rows.map((i) => ({ name: "e", scale: i, sum: i })))],
    [
      "summaries",
      buildSummaries(
        rows.map((i) => ({
          name: "s",
          count: 1n,
          sum: i,
          quantiles: [
            [0.5, i],
            [1, i],
          ],
        })),
      ),
    ],
  ];
  test.each(kinds)("keeps every point of %s", (_kind, { segments }) => {
    const [segment] = segments;
    if (segment?.form !== "points") throw new Error("expected points");
    const pieces = [slicePoints(segment, 0, 1), slicePoints(segment, 1, 3), slicePoints(segment, 3, 4)];
    expect(encodeMetricsJson(pieces)).toBe(encodeMetricsJson(batchPoints({ signal: "metrics", segments })));
  });
});

describe("properties", () => {
  test("nothing is lost, doubled, reordered or larger than the maximum", async () => {
    const limits = fc.record({ size: fc.integer({ min: 1, max: 8 }), more: fc.integer({ min: 0, max: 4 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 8 }), limits, async (list, limit) => {
        const batches = list.map(gauges);
        const max = limit.size + limit.more;
        const out = await runProcessor(batch, { send_batch_size: limit.size, send_batch_max_size: max }, batches);
        expect(out.flatMap(valuesOf)).toEqual(batches.flatMap(valuesOf));
        for (const one of out) expect(countRows(one)).toBeLessThanOrEqual(max);
      }),
    );
  });
});

function valuesOf({ segments }: MetricsBatch): number[] {
  return segments.flatMap((segment) => ("doubles" in segment ? Array.from(segment.doubles) : []));
}

describe("samples", () => {
  const histogram = (name: string) =>
    ["_bucket", "_bucket", "_sum", "_count"].map((suffix, i) => ({
      name: name + suffix,
      type: "histogram" as const,
      value: i,
      labels: i < 2 ? { le: String(i) } : {},
    }));
  const gauge = { name: "g", type: "gauge" as const, value: 1 };

  test.each([
    ["between families", [...histogram("a"), ...histogram("b"), ...histogram("c")], 5, [4, 4, 4]],
    ["two families together where they fit", [...histogram("a"), ...histogram("b"), ...histogram("c")], 9, [8, 4]],
    ["not within a family larger than the maximum", [gauge, ...histogram("a"), gauge], 2, [1, 4, 1]],
    ["between the rows of a gauge", [gauge, gauge, gauge, gauge, gauge], 2, [2, 2, 1]],
    ["between rows without a family", [1, 2, 3].map((value) => ({ name: "x", value })), 2, [2, 1]],
  ])("are cut %s", async (_title, rows, max, expected) => {
    const data = buildSamples(rows);
    const out = await runProcessor(batch, { send_batch_size: 1, send_batch_max_size: max }, data);
    expect(out.map(countRows)).toEqual(expected);
    expect(out.every((one) => one.segments[0]?.layout === data.segments[0]?.layout)).toBe(true);
  });
});

describe("spans and log records", () => {
  const names = (batches: readonly (TracesBatch | LogsBatch)[]) =>
    batches.map(({ requests }) =>
      requests.flatMap(
        ({ bytes }) =>
          Buffer.from(bytes)
            .toString("latin1")
            .match(/item-[0-9]+/g) ?? [],
      ),
    );

  test("are joined as they came", async () => {
    const [a, b] = [buildTraces([{ name: "item-1" }]), buildTraces([{ name: "item-2" }, { name: "item-3" }])];
    const out = await runProcessor(batch, { send_batch_size: 3 }, [a, b]);
    expect(out).toEqual([{ signal: "traces", requests: [...a.requests, ...b.requests] }]);
    expect(out[0]?.requests[0]).toBe(a.requests[0]);
  });

  test.each([
    [[5], 2, [2, 2, 1]],
    [[1, 2, 3], 2, [2, 2, 2]],
    [[1, 1, 1], 1, [1, 1, 1]],
    [[7, 1], 3, [3, 3, 2]],
  ])("requests of %j items become batches of at most %i", async (counts, max, expected) => {
    let next = 0;
    const requests = counts.map((count) =>
      buildLogs(Array.from({ length: count }, () => ({ body: `item-${next++}`, resource: { of: count } }))),
    );
    const out = await runProcessor(batch, { send_batch_size: max, send_batch_max_size: max }, requests);
    expect(out.map(countItems)).toEqual(expected);
    expect(names(out).flat()).toEqual(Array.from({ length: next }, (_, i) => `item-${i}`));
  });
});

describe("metadata_keys", () => {
  const from = (tenant: readonly string[] | undefined, more: Record<string, readonly string[]> = {}) => {
    const metadata = new Map(Object.entries(more));
    if (tenant !== undefined) metadata.set("tenant", tenant);
    return { ...gauges(1), client: clientInfo({ address: "192.0.2.1", metadata }) };
  };
  const cardinality = (meter: { collect(): Iterable<{ name: string; samples: readonly { value: number }[] }> }) =>
    [...meter.collect()].find(({ name }) => name === "otelcol_processor_batch_metadata_cardinality")?.samples[0]?.value;

  test("keep clients apart, and stay with the batches", async () => {
    const { clock, push, sink, meter, shutdown } = setUp({ metadata_keys: ["Tenant"] });
    for (const one of [from(["a"], { other: ["1"] }), from(["b"]), from(["a"]), from([""]), from(undefined)]) push(one);
    push(gauges(1));
    await clock.advance(200);
    const seen = sink.batches.map((one) => [one.client?.metadata("tenant"), countRows(one)]);
    expect(seen).toEqual([
      [["a"], 2],
      [["b"], 1],
      [[""], 1],
      [[], 2],
    ]);
    expect(sink.batches.map((one) => [one.client?.metadata("other"), one.client?.address])).toContainEqual([[], ""]);
    expect(cardinality(meter)).toBe(4);
    await shutdown();
  });

  test("beyond the limit are refused for good", async () => {
    const { clock, push, settled, shutdown } = setUp({ metadata_keys: ["tenant"], metadata_cardinality_limit: 1 });
    push(from(["a"]), "a").catch(() => {});
    await expect(push(from(["b"]), "b")).rejects.toThrow("more than 1 combinations of metadata_keys");
    await clock.advance(200);
    expect(settled).toEqual(["b refused", "a taken"]);
    await shutdown();
  });

  test("without them a batch names no client", async () => {
    const { clock, push, sink, meter, shutdown } = setUp();
    push(from(["a"]));
    await clock.advance(200);
    expect([sink.batches[0]?.client, cardinality(meter)]).toEqual([undefined, 1]);
    await shutdown();
  });
});

describe("a part that is refused for good", () => {
  const refuse = (rejectedItems?: number) =>
    new ConsumeError("CONSUME_REJECTED", "too odd", { permanent: true, rejectedItems });

  test.each([
    ["one of three pieces", [undefined, refuse(), undefined], 2],
    ["a part of a piece", [refuse(1), undefined, refuse(1)], 2],
  ])("is told to its sender: %s", async (_title, answers, rejectedItems) => {
    const { context } = createTestContext(parseConfig(batch, { send_batch_size: 2, send_batch_max_size: 2 }) as never);
    let calls = 0;
    const next = {
      metrics: async () => {
        const answer = answers[calls++];
        if (answer !== undefined) throw answer;
      },
    };
    const answer = batch.create(context).metrics?.(gauges(6), next);
    await expect(answer).rejects.toMatchObject({ permanent: true, rejectedItems, message: "too odd" });
  });

  test("of several senders' data is told to none of them", async () => {
    const { context } = createTestContext(parseConfig(batch, { send_batch_size: 2 }) as never);
    const processor = batch.create(context);
    const next = { metrics: async () => Promise.reject(refuse(1)) };
    const answers = [processor.metrics?.(gauges(1), next), processor.metrics?.(gauges(1), next)];
    expect(await Promise.all(answers)).toEqual([undefined, undefined]);
  });
});
