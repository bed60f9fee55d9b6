import { expect, test } from "vitest";
import { MetricRegistry } from "../../component/metric-registry.ts";
import { observeIntervalLengths } from "./interval-lengths.ts";

test("quantiles of the last thousand scrapes, by interval", () => {
  const meter = new MetricRegistry();
  const record = observeIntervalLengths(meter);
  const shown = () =>
    meter.collect().flatMap(({ samples }) => samples.map(({ labels, value }) => [...Object.values(labels), value]));
  expect(shown()).toEqual([]);
  for (let i = 0; i < 5000; i++) record(1000, 77);
  for (let i = 1; i <= 1000; i++) record(1000, i);
  record(15_000, 14.5);
  expect(shown()).toEqual([
    ["1s", "0.01", 10],
    ["1s", "0.05", 50],
    ["1s", "0.5", 500],
    ["1s", "0.9", 900],
    ["1s", "0.99", 990],
    ...["0.01", "0.05", "0.5", "0.9", "0.99"].map((quantile) => ["15s", quantile, 14.5]),
  ]);
});
