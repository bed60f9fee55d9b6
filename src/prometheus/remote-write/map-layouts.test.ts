/** External labels and write relabeling on the way out: what leaves, and what is remembered. */

import { describe, expect, test } from "vitest";
import type { SamplesSegment } from "../../model/batch.ts";
import { Identities, type Label } from "../../model/identities.ts";
import { type Origin, SamplesLayout } from "../../model/layout.ts";
import { compileRelabel, type RelabelRule } from "../relabel/relabel.ts";
import { LayoutMapper } from "./map-layouts.ts";

const rule = (fields: Partial<RelabelRule>): RelabelRule => ({
  sourceLabels: [],
  separator: ";",
  regex: "(.*)",
  modulus: 0n,
  targetLabel: "",
  replacement: "$1",
  action: "replace",
  ...fields,
});

const dropB = rule({ action: "drop", sourceLabels: ["__name__"], regex: "b" });
const mark = rule({ targetLabel: "marked", replacement: "yes" });

function createKit(external: readonly Label[], rules: readonly RelabelRule[]) {
  const identities = new Identities();
  const program = rules.length === 0 ? undefined : compileRelabel(rules, "utf8");
  const mapper = new LayoutMapper(identities, external, program);
  const layoutOf = (sets: readonly (readonly Label[])[]) =>
    new SamplesLayout(identities, { labels: Uint32Array.from(sets, (labels) => identities.internLabels(labels)) }, {
      lane: 5,
    } as Origin);
  const segmentOf = (layout: SamplesLayout, from = 0, to = layout.length): SamplesSegment => ({
    form: "samples",
    layout,
    from,
    to,
    values: Float64Array.from({ length: to - from }, (_, i) => from + i),
    stale: false,
    timestampMs: 1,
    exemplars: [{ row: to - from - 1, labels: [], value: 9, timestampMs: undefined }],
  });
  const describeRows = (segment: SamplesSegment | undefined) =>
    segment === undefined
      ? []
      : Array.from(segment.values, (value, row) => {
          const labels = identities.labels(segment.layout.labels?.[segment.from + row] ?? 0);
          const exemplar = segment.exemplars?.some((each) => each.row === row) === true ? " #" : "";
          return `${labels.map(([name, text]) => `${name}=${text}`).join(",")} ${value}${exemplar}`;
        });
  return { identities, mapper, layoutOf, segmentOf, describeRows };
}

const named = (name: string, ...labels: Label[]): Label[] => [["__name__", name], ...labels];

describe("labels that leave", () => {
  test.each([
    { what: "nothing to do", external: [], rules: [], labels: [named("a")], rows: ["__name__=a 0 #"] },
    {
      what: "external labels are added where the series has none, sorted in, and empty ones are not",
      external: [
        ["dc", "x"],
        ["Z", "z"],
        ["empty", ""],
      ] as Label[],
      rules: [],
      labels: [named("a"), named("a", ["dc", "own"])],
      rows: ["Z=z,__name__=a,dc=x 0", "Z=z,__name__=a,dc=own 1 #"],
    },
    {
      what: "rules see the external labels",
      external: [["dc", "x"]] as Label[],
      rules: [rule({ sourceLabels: ["dc"], targetLabel: "copy" }), rule({ action: "labeldrop", regex: "dc" })],
      labels: [named("a")],
      rows: ["__name__=a,copy=x 0 #"],
    },
    {
      what: "dropped rows are gone, values and exemplars stay with theirs",
      external: [],
      rules: [dropB],
      labels: [named("b"), named("a"), named("b"), named("c")],
      rows: ["__name__=a 1", "__name__=c 3 #"],
    },
    { what: "all dropped", external: [], rules: [dropB], labels: [named("b")], rows: [] },
    {
      what: "a series without labels is none",
      external: [],
      rules: [rule({ action: "labeldrop", regex: ".*" })],
      labels: [named("a")],
      rows: [],
    },
  ])("$what", ({ external, rules, labels, rows }) => {
    const { mapper, layoutOf, segmentOf, describeRows } = createKit(external, rules);
    expect(describeRows(mapper.map(segmentOf(layoutOf(labels))))).toEqual(rows);
  });

  test("of parts of a layout are those of their rows", () => {
    const { mapper, layoutOf, segmentOf, describeRows } = createKit([], [dropB, mark]);
    const layout = layoutOf([named("a"), named("b"), named("c"), named("b"), named("d")]);
    expect(describeRows(mapper.map(segmentOf(layout, 1, 4)))).toEqual(["__name__=c,marked=yes 2"]);
    expect(mapper.map(segmentOf(layout, 3, 4))).toBeUndefined();
    expect(describeRows(mapper.map(segmentOf(layout, 4, 5)))).toEqual(["__name__=d,marked=yes 4 #"]);
  });
});

describe("what is remembered", () => {
  test("a layout is mapped once, and keeps the lane of its source", () => {
    const { mapper, layoutOf, segmentOf } = createKit([["dc", "x"]], []);
    const layout = layoutOf([named("a")]);
    const first = mapper.map(segmentOf(layout));
    expect(mapper.map(segmentOf(layout))?.layout).toBe(first?.layout);
    expect(first?.layout.origin.lane).toBe(5);
  });

  test("without labels and rules the segment itself leaves", () => {
    const { mapper, layoutOf, segmentOf } = createKit([["empty", ""]], []);
    const segment = segmentOf(layoutOf([named("a")]));
    expect(mapper.map(segment)).toBe(segment);
  });

  test("numbers that a sweep gave to other label sets are looked up anew after forget", () => {
    const { identities, mapper, layoutOf, segmentOf, describeRows } = createKit([["dc", "x"]], []);
    const set = identities.internLabels(named("gone"));
    mapper.mapLabelSet(set);
    identities.onSweep(() => mapper.forget());
    identities.sweep(true);
    const layout = layoutOf([named("new")]);
    expect(layout.labels?.[0]).toBeLessThanOrEqual(set + 1);
    expect(describeRows(mapper.map(segmentOf(layout)))).toEqual(["__name__=new,dc=x 0 #"]);
  });

  test("label sets with numbers far apart", () => {
    const { identities, mapper } = createKit([["dc", "x"]], []);
    const ids = Array.from({ length: 5000 }, (_, n) => identities.internLabels(named(`m${n}`)));
    const mapped = [4999, 0, 2500, 4999].map((n) => mapper.mapLabelSet(ids[n] ?? 0));
    expect(mapped[0]).toBe(mapped[3]);
    expect(identities.labels(mapped[2] ?? 0)).toEqual(named("m2500", ["dc", "x"]));
  });
});
