import { describe, expect, it } from "vitest";
import type { NumberPoints } from "../../model/batch.ts";
import { rowPart } from "../../model/layout.ts";
import { member, type PageRow, testOrigin, testSegment } from "./test-page.ts";

/** The points of a page as `name{label} value`, and how many rows were counted with which reason. */
function pointsOf(rows: readonly PageRow[]) {
  const dropped: Record<string, number> = {};
  const count = (reason: string, points: number) => {
    dropped[reason] = (dropped[reason] ?? 0) + points;
  };
  const origin = testOrigin({ dropped: count });
  const points: string[] = [];
  for (const segment of origin.points(testSegment(rows, origin))) {
    for (const [row, series] of segment.layout.series.entries()) {
      const { metric, attributes } = origin.identities.seriesView(series);
      const labels = [...attributes].map(([key, value]) => `${key}=${value}`).join();
      points.push(`${metric.name}${labels === "" ? "" : `{${labels}}`} ${(segment as NumberPoints).doubles[row]}`);
    }
  }
  return { points, dropped };
}

const gauge = (suffix: string, value: number, labels = {}) => member("x", "gauge", suffix, labels, value);
const counter = (suffix: string, value: number, labels = {}) => member("c", "counter", suffix, labels, value);

describe("rows whose names end like a part of a family", () => {
  it.each<[string, PageRow[], string[], Record<string, number>]>([
    [
      "take the place of all that a gauge had before",
      [gauge("", 1), gauge("", 2, { a: "1" }), gauge("_sum", 7), gauge("_total", 9, { b: "1" })],
      ["x{b=1} 9"],
      { replaced: 3 },
    ],
    [
      "are followed by more rows of the gauge",
      [gauge("_total", 9, { b: "1" }), gauge("", 1), gauge("", 2, { a: "1" })],
      ["x{b=1} 9", "x 1", "x{a=1} 2"],
      {},
    ],
    [
      "lose their value to a later row of the gauge with the same labels",
      [gauge("_total", 9), gauge("", 1)],
      ["x 1"],
      { replaced: 1 },
    ],
    [
      "take the place of one another",
      [gauge("_total", 1, { a: "1" }), gauge("_total", 2, { a: "2" })],
      ["x{a=2} 2"],
      { replaced: 1 },
    ],
    [
      "leave other scopes alone",
      [gauge("", 1, { otel_scope_name: "a" }), gauge("_total", 2, { otel_scope_name: "b" })],
      ["x 1", "x 2"],
      {},
    ],
    [
      "leave other resources alone",
      [gauge("", 1, { instance: "a:1" }), gauge("_total", 2, { instance: "b:1" })],
      ["x 1", "x 2"],
      {},
    ],
    [
      "join a counter whose own rows stand above them",
      [counter("", 1), counter("", 2, { a: "1" }), counter("_total", 3), counter("_total", 4, { a: "2" })],
      ["c{a=1} 2", "c 3", "c{a=2} 4"],
      { replaced: 1 },
    ],
    [
      "stay a counter of their own above those rows",
      [counter("_total", 3), counter("", 1), counter("_total", 4, { a: "2" })],
      ["c_total 3", "c 1", "c_total{a=2} 4"],
      {},
    ],
    [
      "join an info family, of which the last with the same labels stays",
      ["_info", "", "_sum"].map((suffix, i) => member("i", "info", suffix, {}, i)),
      ["i 2"],
      { replaced: 2 },
    ],
    [
      "mean nothing where they are declared themselves",
      [gauge("", 1), { name: "x_total", value: 2, family: { type: "gauge" } }],
      ["x 1", "x_total 2"],
      {},
    ],
    ["mean nothing beside an undeclared name", [{ name: "u" }, { name: "u_total" }], ["u 0", "u_total 0"], {}],
  ])("%s", (_, rows, points, dropped) => {
    expect(pointsOf(rows)).toEqual({ points, dropped });
  });
});

describe("a page that declares nothing any more", () => {
  it("is read as a page, not as markers", () => {
    const origin = testOrigin();
    const declared = testSegment([gauge("", 1), gauge("_total", 1)], origin).layout;
    origin.learn(declared);
    declared.reading();
    const page = testSegment([{ name: "x_total" }, { name: "x_total", labels: { a: "1" } }], origin).layout;
    origin.learn(page);
    const { series, part } = page.reading();
    expect([...part]).toEqual([rowPart.replaced, rowPart.value]);
    expect(Array.from(series, (id) => origin.identities.seriesView(id).metric.name)).toEqual(["x", "x"]);
  });
});

describe("markers of such rows", () => {
  const marker = ({ family: _, ...row }: PageRow): PageRow => ({ ...row, stale: true });
  function markersBeside(page: readonly PageRow[], gone: readonly PageRow[]): string[] {
    const origin = testOrigin();
    const { layout } = testSegment(page, origin);
    layout.reading();
    origin.learn(layout);
    const { series, part } = testSegment(gone.map(marker), origin).layout.reading();
    return Array.from(series, (id, row) =>
      id === 0 || part[row] !== rowPart.value ? "none" : origin.identities.seriesView(id).metric.name,
    );
  }

  it.each<[string, PageRow[], PageRow[], string[]]>([
    ["end the family's series", [gauge("_total", 1)], [gauge("_total", 1)], ["x"]],
    ["end it once", [gauge("", 1), gauge("_total", 1)], [gauge("", 1), gauge("_total", 1)], ["x", "none"]],
  ])("%s when the page is gone", (_, page, gone, expected) => {
    expect(markersBeside(page, gone)).toEqual(expected);
  });

  it("do not end a series that another row goes on with", () => {
    const origin = testOrigin();
    origin.learn(testSegment([gauge("", 1), gauge("_total", 1)], origin).layout);
    testSegment([gauge("", 1), gauge("_total", 1)], origin).layout.reading();
    const next = testSegment([gauge("", 1)], origin).layout;
    next.reading();
    origin.learn(next);
    expect([...testSegment([marker(gauge("_total", 1))], origin).layout.reading().series]).toEqual([0]);
  });
});
