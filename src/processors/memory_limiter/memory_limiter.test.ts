import { describe, expect, test } from "vitest";
import { ConsumeError } from "../../model/errors.ts";
import { buildNumbers } from "../../testing/build-points.ts";
import { createMetricsSink } from "../../testing/sink.ts";
import { createTestContext, parseConfig } from "../../testing/test-context.ts";
import { memoryLimits } from "./limiter.ts";
import memoryLimiter, { defineMemoryLimiter } from "./memory_limiter.ts";
import { processMemory } from "./process-memory.ts";

const mebibyte = 2 ** 20;

function setUp(section: object) {
  const memory = {
    used: 0,
    /** What a collection leaves. */
    live: undefined as number | undefined,
    collections: 0,
    residentBytes: () => memory.used * mebibyte,
    totalBytes: () => 1000 * mebibyte,
    collectGarbage() {
      memory.collections++;
      memory.used = memory.live ?? memory.used;
    },
  };
  const definition = defineMemoryLimiter(memory);
  const test = createTestContext(parseConfig(definition, section) as never, { id: "memory_limiter" });
  const processor = definition.create(test.context);
  const sink = createMetricsSink();
  const push = () => processor.metrics?.(buildNumbers([{ name: "m", value: 1 }]), sink) ?? Promise.resolve();
  return { ...test, memory, processor, sink, push };
}

const section = { check_interval: "1s", limit_mib: 100, spike_limit_mib: 20 };

describe("memory_limiter", () => {
  test("passes data below the soft limit and refuses it, retryably, from the soft limit on", async () => {
    const { memory, clock, push, sink, startLoops, stopLoops, host, meter } = setUp(section);
    startLoops();
    memory.used = 79;
    await clock.advance(1000);
    await push();
    memory.used = 80;
    await clock.advance(1000);
    const error = await push().catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ConsumeError);
    expect(error).toMatchObject({ code: "CONSUME_MEMORY_LIMIT", permanent: false });
    expect(sink.rows()).toBe(1);
    memory.used = 70;
    await clock.advance(1000);
    await push();
    await stopLoops();
    expect(host.reported.map((status) => status.state)).toEqual(["recoverable", "ok"]);
    const counts = meter.collect().map(({ name, samples }) => [name, samples[0]?.value]);
    expect(counts).toEqual([
      ["otelcol_processor_memory_limiter_accepted_metric_points", 2],
      ["otelcol_processor_memory_limiter_refused_metric_points", 1],
    ]);
  });

  test("does not refuse when a collection brings the memory below the soft limit", async () => {
    const { memory, clock, push, sink, startLoops, stopLoops } = setUp(section);
    memory.used = 90;
    memory.live = 50;
    startLoops();
    await clock.advance(0);
    await push();
    await stopLoops();
    expect([memory.collections, sink.rows()]).toEqual([1, 1]);
  });

  test.each([
    ["soft", 90, 1],
    ["hard", 100, 5],
  ])("above the %s limit, collections keep their distance", async (_limit, used, collections) => {
    const { memory, clock, startLoops, stopLoops } = setUp(section);
    memory.used = used;
    startLoops();
    await clock.advance(4000);
    await stopLoops();
    expect(memory.collections).toBe(collections);
  });

  test.each([
    ["a fifth of the limit by default", { check_interval: "1s", limit_mib: 100 }, 100, 80],
    ["percentages of all memory", { check_interval: "1s", limit_percentage: 50, spike_limit_percentage: 10 }, 500, 400],
    ["fixed limits before percentages", { check_interval: "1s", limit_mib: 10, limit_percentage: 50 }, 10, 8],
  ])("takes %s", (_title, written, hard, soft) => {
    const { context, memory } = setUp(written);
    const limits = memoryLimits(context.config as never, memory);
    expect([limits.hardBytes / mebibyte, limits.softBytes / mebibyte]).toEqual([hard, soft]);
  });

  test.each([
    [{}, "check_interval"],
    [{ check_interval: "1s" }, "limit_mib or limit_percentage"],
    [{ check_interval: "1s", limit_mib: 10, spike_limit_mib: 10 }, "less than limit_mib"],
    [{ check_interval: "1s", limit_percentage: 101 }, "limit_percentage"],
    [{ check_interval: "1s", limit_percentage: 10, spike_limit_percentage: 10 }, "less than limit_percentage"],
    [{ ...section, min_gc_interval_when_hard_limited: "11s" }, "at least min_gc_interval_when_hard_limited"],
    [{ ...section, limit_mb: 1 }, "limit_mb"],
  ])("refuses %j", (written, message) => {
    expect(() => parseConfig(memoryLimiter, written)).toThrow(message);
  });

  test("reads the memory of this process", () => {
    expect(processMemory.residentBytes()).toBeGreaterThan(10 * mebibyte);
    expect(processMemory.totalBytes()).toBeGreaterThan(processMemory.residentBytes());
    processMemory.collectGarbage();
  });
});
