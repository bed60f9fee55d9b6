/** The gauge of what the memory is in use for. */

import { expect, test } from "vitest";
import { MetricRegistry } from "../component/metric-registry.ts";
import { Identities } from "../model/identities.ts";
import { type Origin, SamplesLayout } from "../model/layout.ts";
import { memoryParts, observeMemory } from "./memory-metrics.ts";

const origin: Origin = {
  lane: 0,
  read: ({ length }) => ({
    series: new Uint32Array(length),
    part: new Uint8Array(length),
    bound: new Uint32Array(length),
  }),
  points: () => [],
};

test("layouts count the arrays that they hold, and one that several share once", () => {
  const identities = new Identities();
  const labels = new Uint32Array(100);
  const layout = new SamplesLayout(identities, { labels }, origin);
  const other = new SamplesLayout(identities, { labels, families: layout.families }, origin);
  expect(memoryParts(identities).get("layouts")).toBe(800);
  layout.reading();
  expect(memoryParts(identities).get("layouts")).toBe(800 + 900);
  expect(other.length).toBe(100);
});

test("every part is one sample of the gauge: tables, what others added, and the runtime", () => {
  const identities = new Identities();
  identities.memory.add("queue", () => 12);
  const registry = new MetricRegistry();
  observeMemory(registry, identities);
  const family = registry.collect().find(({ name }) => name === "millrace_memory_bytes");
  const parts = new Map(family?.samples.map(({ labels, value }) => [labels["part"], value]));
  expect([...parts.keys()].sort()).toEqual([
    ...["array_buffers", "attributes", "kernels", "label_pairs", "label_sets", "layouts", "queue", "resident"],
    ...["series", "texts", "v8_heap"],
  ]);
  expect(parts.get("queue")).toBe(12);
  expect(parts.get("label_pairs")).toBe(identities.labelPairs.byteLength);
  expect(parts.get("resident")).toBeGreaterThan(parts.get("v8_heap") ?? Number.POSITIVE_INFINITY);
});
