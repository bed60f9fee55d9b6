import { describe, expect, it } from "vitest";
import { metricName, type NamedMetric, type TranslationStrategy } from "./metric-name.ts";

const gauge = (name: string, unit = ""): NamedMetric => ({ name, unit, type: "gauge", isMonotonic: false });
const counter = (name: string, unit = ""): NamedMetric => ({ name, unit, type: "sum", isMonotonic: true });
const sum = (name: string, unit = ""): NamedMetric => ({ name, unit, type: "sum", isMonotonic: false });
const histogram = (name: string, unit = ""): NamedMetric => ({ name, unit, type: "histogram", isMonotonic: false });
const summary = (name: string, unit = ""): NamedMetric => ({ name, unit, type: "summary", isMonotonic: false });

type Case = [metric: NamedMetric, expected: string | undefined, namespace?: string];

function check(strategy: TranslationStrategy, cases: readonly Case[]): void {
  it.each(cases.map(([metric, expected, namespace]) => ({ metric, expected, namespace: namespace ?? "" })))(
    "$metric.type $metric.name [$metric.unit] in namespace '$namespace' is $expected",
    ({ metric, expected, namespace }) => {
      expect(metricName(metric, strategy, namespace)).toBe(expected);
    },
  );
}

describe("UnderscoreEscapingWithSuffixes", () => {
  check("UnderscoreEscapingWithSuffixes", [
    [gauge("a"), "a"],
    [gauge("a.b"), "a_b"],
    [gauge("a..b"), "a_b"],
    [gauge("a__b"), "a_b"],
    [gauge("_a_"), "a"],
    [gauge("__a.b__"), "a_b"],
    [gauge("a:b"), "a:b"],
    [gauge(":a"), ":a"],
    [gauge("h\u00e9llo"), "h_llo"],
    [gauge("\u{1f600}a"), "a"],
    [gauge("1a"), "_1a"],
    [gauge("1a"), "ns_1a", "ns"],
    [gauge("a"), "_9n_a", "9n"],
    [gauge("a"), "n.s_a", "n.s"],
    [gauge(""), undefined],
    [gauge("___"), undefined],
    [gauge("..."), undefined],
    [gauge("\u00e9"), undefined],
    [gauge("a", "s"), "a_seconds"],
    [gauge("a_seconds", "s"), "a_seconds"],
    [gauge("seconds_a", "s"), "seconds_a"],
    [gauge("a", "By"), "a_bytes"],
    [gauge("a", "KiBy"), "a_kibibytes"],
    [gauge("a", "KBy"), "a_kilobytes"],
    [gauge("a", "kBy"), "a_kBy"],
    [gauge("a", "Cel"), "a_celsius"],
    [gauge("a", "%"), "a_percent"],
    [gauge("a", "1"), "a_ratio"],
    [gauge("a_ratio", "1"), "a_ratio"],
    [gauge("ratio_a", "1"), "a_ratio"],
    [gauge("ratio", "1"), "ratio"],
    [counter("a", "1"), "a_total"],
    [sum("a", "1"), "a"],
    [histogram("a", "1"), "a"],
    [gauge("a", "{packets}"), "a"],
    [gauge("a", "{packets}/s"), "a_per_second"],
    [gauge("a", "m/s"), "a_meters_per_second"],
    [gauge("a", "By/{x}"), "a_bytes"],
    [gauge("a", "By/"), "a_bytes"],
    [gauge("a", "/s"), "a_per_second"],
    [gauge("a", " m / s "), "a_meters_per_second"],
    [gauge("a", "a/b/c"), "a_per_b_c"],
    [gauge("a", "V/m"), "a_volts_per_minute"],
    [gauge("a", "x.y"), "a_x_y"],
    [gauge("a", "_x_"), "a_x_"],
    [gauge("a", "_x_/s"), "a_x_per_second"],
    [gauge("a", "\u00b0"), "a"],
    [gauge("a", "s/\u00b0"), "a_seconds"],
    [gauge("x_per_second", "1/s"), "x_per_second_per_second"],
    [counter("a"), "a_total"],
    [counter("a_total"), "a_total"],
    [counter("a.total"), "a_total"],
    [counter("total_a"), "a_total"],
    [counter("a_total_b_total"), "a_b_total"],
    [counter("total"), "total"],
    [counter("a", "s"), "a_seconds_total"],
    [counter("a_total", "s"), "a_seconds_total"],
    [counter("a_seconds_total", "s"), "a_seconds_total"],
    [counter("a_total"), "ns_a_total", "ns"],
    [sum("a_total"), "a_total"],
    [histogram("a_total", "ms"), "a_total_milliseconds"],
    [summary("a", "ns"), "a_nanoseconds"],
  ]);
});

describe("UnderscoreEscapingWithoutSuffixes", () => {
  check("UnderscoreEscapingWithoutSuffixes", [
    [counter("a.b", "s"), "a_b"],
    [gauge("a__b"), "a__b"],
    [gauge("_a_"), "_a_"],
    [gauge(".a."), "a"],
    [gauge("a..b"), "a_b"],
    [gauge("1a"), "_1a"],
    [gauge("1a"), "ns_1a", "ns"],
    [gauge("a"), "n_s_a", "n.s"],
    [gauge("___"), "___"],
    [gauge("..."), undefined],
    [gauge("._."), undefined],
    [gauge("a", "1"), "a"],
  ]);
});

describe("NoUTF8EscapingWithSuffixes", () => {
  check("NoUTF8EscapingWithSuffixes", [
    [gauge("a.b"), "a.b"],
    [gauge("a.b", "s"), "a.b_seconds"],
    [gauge("a.seconds", "s"), "a.seconds"],
    [counter("a.b"), "a.b_total"],
    [counter("a.b.total"), "a.b_total"],
    [counter("a.total", "s"), "a_seconds_total"],
    [counter("total"), "total_total"],
    [gauge("a.ratio", "1"), "a_ratio"],
    [gauge("a.per_second", "m/s"), "a_meters_per_second"],
    [gauge("a.b", "x.y"), "a.b_x.y"],
    [gauge("a.b"), "ns_a.b", "ns"],
    [gauge("1a"), "1a"],
  ]);
});

describe("NoTranslation", () => {
  check("NoTranslation", [
    [counter("a.b", "s"), "a.b"],
    [gauge("a b"), "ns_a b", "ns"],
    [gauge("1a", "1"), "1a"],
    [gauge(""), undefined],
  ]);
});
