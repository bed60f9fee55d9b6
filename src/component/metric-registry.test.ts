/** Own metrics: the same cell for the same labels, cumulative buckets, observers that come and go. */

import { expect, test } from "vitest";
import { MetricRegistry } from "./metric-registry.ts";

test("asking twice for a family or for its labels, in any order, gives the same cell", () => {
  const registry = new MetricRegistry();
  registry.counter("c_total", { help: "C" }).with({ a: "1", b: "2" }).add(3);
  registry.counter("c_total", { help: "other" }).with({ b: "2", a: "1" }).add(4);
  registry.counter("c_total", { help: "C" }).with({}).value = 9;
  expect(registry.collect()).toEqual([
    {
      name: "c_total",
      type: "counter",
      help: "C",
      level: "basic",
      samples: [
        { suffix: "", labels: { a: "1", b: "2" }, value: 7 },
        { suffix: "", labels: {}, value: 9 },
      ],
    },
  ]);
});

test("families are sorted by name; a removed series is gone, and begins at 0 when it comes back", () => {
  const registry = new MetricRegistry();
  const gauge = registry.gauge("b", { help: "B", level: "detailed" });
  registry.counter("a_total", { help: "A" });
  gauge.with({ x: "1", y: "2" }).add(5);
  gauge.remove({ y: "2", x: "1" });
  expect(registry.collect().map(({ name, level, samples }) => [name, level, samples.length])).toEqual([
    ["a_total", "basic", 0],
    ["b", "detailed", 0],
  ]);
  expect(gauge.with({ x: "1", y: "2" }).value).toBe(0);
});

test("buckets are cumulative and include their bound", () => {
  const registry = new MetricRegistry();
  const cell = registry.histogram("h", { help: "H", buckets: [0.1, 1, 10] }).with({ l: "v" });
  for (const value of [0.1, 0.5, 1, 5, 100, -1]) cell.record(value);
  const samples = registry.collect()[0]?.samples.map(({ suffix, labels, value }) => [suffix, labels["le"], value]);
  expect(samples).toEqual([
    ["_bucket", "0.1", 2],
    ["_bucket", "1", 4],
    ["_bucket", "10", 5],
    ["_bucket", "+Inf", 6],
    ["_sum", undefined, 105.6],
    ["_count", undefined, 6],
  ]);
  expect(registry.histogram("h", { help: "H", buckets: [7] }).with({ l: "v" })).toBe(cell);
});

test("observers are asked at every read; one name may have several, until the last is taken away", () => {
  const registry = new MetricRegistry();
  let value = 1;
  const options = { help: "O", type: "gauge" } as const;
  const remove = [1, 2].map((id) =>
    registry.observe("o", options, () => [{ labels: { id: String(id) }, value: value * id }]),
  );
  const values = () => registry.collect().flatMap(({ samples }) => samples.map((sample) => sample.value));
  expect(values()).toEqual([1, 2]);
  value = 5;
  remove[0]?.();
  expect(values()).toEqual([10]);
  remove[1]?.();
  remove[1]?.();
  expect(registry.collect()).toEqual([]);
});
