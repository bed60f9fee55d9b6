import { describe, expect, it } from "vitest";
import { rowPart } from "../../model/layout.ts";
import type { FamilyType } from "../../model/series.ts";
import { type PageRow, testSegment } from "./test-page.ts";

const partNames = new Map<number, string>(Object.entries(rowPart).map(([name, part]) => [part, name]));

/** Name, type and part of every row, e.g. `foo histogram bucket`. */
function readRows(rows: readonly PageRow[]): string[] {
  const { layout } = testSegment(rows);
  const { series, part } = layout.reading();
  return Array.from(series, (id, row) => {
    if (id === 0) return "none";
    const { metric } = layout.identities.seriesView(id);
    return `${metric.name} ${metric.isMonotonic ? "counter" : metric.type} ${partNames.get(part[row] as number)}`;
  });
}

/** A row `name` that was exposed as `exposed` in a family. */
function row(
  name: string,
  family: string,
  type: FamilyType,
  exposed = name,
  labels: Record<string, string> = {},
): PageRow {
  return { name, labels, family: { name: family, exposedName: exposed, type } };
}

const le = { le: "1" };

describe("rows as they are exposed", () => {
  it.each<[string, PageRow[], string[]]>([
    ["a gauge", [row("g", "g", "gauge")], ["g gauge value"]],
    ["a row without a declaration", [{ name: "u" }], ["u gauge value"]],
    ["an OpenMetrics counter", [row("c_total", "c", "counter")], ["c_total counter value"]],
    ["a text counter", [row("c_total", "c_total", "counter")], ["c_total counter value"]],
    ["a text counter without _total", [row("c", "c", "counter")], ["c counter value"]],
    [
      "the start time of an OpenMetrics counter",
      [row("c_total", "c", "counter"), row("c_created", "c", "counter")],
      ["c_total counter value", "c_total counter created"],
    ],
    [
      "the start time of a text counter without _total as that of another counter, as otelcol-contrib does",
      [row("c", "c", "counter"), row("c_created", "c", "counter")],
      ["c counter value", "c_total counter created"],
    ],
    ["an info metric", [row("i_info", "i", "info")], ["i sum value"]],
    ["a state set", [row("s", "s", "stateset")], ["s sum value"]],
    [
      "a histogram",
      ["_bucket", "_sum", "_count", "_created"].map((suffix) => row(`h${suffix}`, "h", "histogram", `h${suffix}`, le)),
      ["h histogram bucket", "h histogram sum", "h histogram count", "h histogram created"],
    ],
    [
      "a summary",
      [
        row("s", "s", "summary", "s", { quantile: "0.5" }),
        row("s_sum", "s", "summary"),
        row("s_count", "s", "summary"),
      ],
      ["s summary quantile", "s summary sum", "s summary count"],
    ],
    [
      "a gauge histogram",
      ["_bucket", "_gcount", "_gsum"].map((suffix) => row(`g${suffix}`, "g", "gaugehistogram")),
      ["g gauge value", "g_gcount gauge value", "g_gsum gauge value"],
    ],
    [
      "rows that only look like parts of a histogram as parts of it",
      [
        row("h_total", "h", "histogram"),
        row("h_info", "h", "histogram", "h_info", le),
        row("h_count", "h", "histogram"),
      ],
      ["h histogram none", "h histogram bucket", "h histogram count"],
    ],
    [
      "rows of a histogram whose name looks like one of its parts",
      [row("a_sum", "a_sum", "histogram"), row("a_sum_count", "a_sum", "histogram")],
      ["a_sum histogram sum", "a_sum histogram count"],
    ],
    [
      "other rows of a gauge histogram, of which the last stays",
      [row("g_sum", "g", "gaugehistogram"), row("g_total", "g", "gaugehistogram")],
      ["g gauge replaced", "g gauge value"],
    ],
    ["a bucket without a bound", [row("h_bucket", "h", "histogram")], ["h histogram none"]],
    [
      "a bucket with a bound that is no number",
      [row("h_bucket", "h", "histogram", "h_bucket", { le: "x" })],
      ["h histogram none"],
    ],
    [
      "a histogram whose rows carry no family, found by its name",
      [row("h_count", "h", "histogram"), { name: "h_bucket", labels: le }],
      ["h histogram count", "h histogram bucket"],
    ],
    ["target_info", [row("target_info", "target", "info"), { name: "up" }], ["none", "up gauge value"]],
  ])("reads %s", (_, rows, expected) => {
    expect(readRows(rows)).toEqual(expected);
  });
});

describe("rows renamed by metric relabeling", () => {
  const histogram = (renamed: Record<string, string>) =>
    ["_bucket", "_sum", "_count"].map((suffix) =>
      row(renamed[suffix] ?? `h${suffix}`, "h", "histogram", `h${suffix}`, le),
    );

  it.each<[string, PageRow[], string[]]>([
    [
      "type follows a whole histogram",
      histogram({ _bucket: "x_bucket", _sum: "x_sum", _count: "x_count" }),
      ["x histogram bucket", "x histogram sum", "x histogram count"],
    ],
    [
      "buckets that left their count are gauges",
      histogram({ _bucket: "x_bucket" }),
      ["x_bucket gauge value", "h histogram sum", "h histogram count"],
    ],
    [
      "a part that lost its ending is a gauge",
      histogram({ _bucket: "x_bucket", _sum: "x_summe", _count: "x_count" }),
      ["x histogram bucket", "x_summe gauge value", "x histogram count"],
    ],
    [
      "type follows a counter that keeps _total",
      [row("x_total", "c", "counter", "c_total")],
      ["x_total counter value"],
    ],
    ["a counter that lost _total is a gauge", [row("x", "c", "counter", "c_total")], ["x gauge value"]],
    ["a text counter that lost _total is a gauge", [row("x", "c_total", "counter", "c_total")], ["x gauge value"]],
    ["type follows a counter that never had _total", [row("x", "c", "counter", "c")], ["x counter value"]],
    ["type follows an info metric", [row("x_info", "i", "info", "i_info")], ["x sum value"]],
    [
      "a row that lost its ending joins the family of its new name",
      [row("c2_total", "c2", "counter"), row("c2", "c", "counter", "c_total")],
      ["c2_total counter value", "c2 counter value"],
    ],
  ])("%s", (_, rows, expected) => {
    expect(readRows(rows)).toEqual(expected);
  });

  it("keeps help, and the unit where the new name still has it", () => {
    const renamed = (name: string): PageRow => ({
      name,
      family: { name: "a_seconds", exposedName: "a_seconds", type: "gauge", help: "Help.", unit: "seconds" },
    });
    const { layout } = testSegment([renamed("b_seconds"), renamed("b")]);
    const metrics = Array.from(layout.reading().series, (id) => layout.identities.seriesView(id).metric);
    expect(metrics.map(({ name, description, unit }) => [name, description, unit])).toEqual([
      ["b_seconds", "Help.", "s"],
      ["b", "Help.", ""],
    ]);
  });
});
