import { expect, it } from "vitest";
import type { MetricType } from "../../model/series.ts";
import { trimMetricSuffixes } from "./trim-suffixes.ts";

it.each<[string, MetricType, string, string]>([
  ["a_total", "sum", "", "a"],
  ["a_total", "gauge", "", "a_total"],
  ["total", "sum", "", "total"],
  ["a_seconds", "histogram", "seconds", "a"],
  ["a_seconds_total", "sum", "seconds", "a"],
  ["a_bytes_per_second", "gauge", "bytes_per_second", "a"],
  ["seconds", "gauge", "seconds", "seconds"],
  ["bytes_per_second", "gauge", "bytes_per_second", "bytes_per_second"],
  ["a_seconds", "gauge", "bytes", "a_seconds"],
  ["a_ratio", "gauge", "", "a_ratio"],
])("%s (%s, unit %j) is trimmed to %s", (name, type, unit, expected) => {
  expect(trimMetricSuffixes(name, type, unit)).toBe(expected);
});
