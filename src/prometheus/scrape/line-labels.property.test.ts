/** Label sets found from the bytes of lines are those found from their texts, whatever stands in a page. */

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { propertyRuns } from "../../../test/support/property-runs.ts";
import { createOpenMetricsParser, createTextParser } from "../../codec/exposition/parser.ts";
import { Identities, type Label } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import { LabelsBuilder } from "../relabel/labels-builder.ts";
import { compileRelabel } from "../relabel/relabel.ts";
import { LineLabels } from "./line-labels.ts";
import { SampleLabels, type SampleLabelsOptions, ScrapeError } from "./sample-labels.ts";

const dropSecret = {
  sourceLabels: ["pod"],
  separator: ";",
  regex: "a.*",
  modulus: 0n,
  targetLabel: "",
  replacement: "$1",
  action: "drop",
} as const;

const defaults: SampleLabelsOptions = {
  targetLabels: [
    ["instance", "host:1"],
    ["job", "bench"],
  ],
  honorLabels: false,
  relabel: undefined,
  limits: { labels: 0, nameLength: 0, valueLength: 0 },
  externalLabels: [],
  isValidMetricName: (name) => !name.includes("bad"),
  isValidLabelName: (name) => !name.includes("bad"),
};

const options = fc.record<SampleLabelsOptions>({
  targetLabels: fc.constantFrom<(readonly Label[])[]>(
    defaults.targetLabels,
    [],
    [
      ["exported_pod", "e"],
      ["pod", "p"],
    ],
    [["job", "\u00000"]],
  ),
  honorLabels: fc.boolean(),
  relabel: fc.constantFrom(undefined, undefined, undefined, compileRelabel([dropSecret], "utf8")),
  limits: fc.constantFrom(
    defaults.limits,
    { labels: 4, nameLength: 0, valueLength: 0 },
    { labels: 0, nameLength: 8, valueLength: 5 },
  ),
  externalLabels: fc.constantFrom<(readonly Label[])[]>(
    [],
    [["pod", "outer"]],
    [["job", ""]],
    [["zone", "z"]],
    [["exported_job", "o"]],
  ),
  isValidMetricName: fc.constant(defaults.isValidMetricName),
  isValidLabelName: fc.constant(defaults.isValidLabelName),
});

const value = fc.oneof(
  fc.constantFrom("a", "a", "b", "1", "1.0", "0.10", "+Inf", "", "\\\\", '\\"', "\\n", "abcdef", "\u00e9", "\u{1f600}"),
  fc.string({ unit: fc.constantFrom("x", "y", "0", ".", "\u00fc"), maxLength: 3 }),
);
const names = fc.constantFrom(
  ["pod"],
  ["pod", "le"],
  ["le", "pod"],
  ["quantile"],
  ["instance", "exported_instance"],
  ["exported_pod", "pod", "job"],
  ["job", "exported_job"],
  ["pod", "pod"],
  ["bad"],
  [],
  ['"with blank"', "pod"],
  ["long_name_of_label"],
);
const metric = fc.constantFrom("m", "m", "m_bucket", "bad_m", "other:m");
/** Runs of lines with the same names, some below a TYPE line. */
const runs = fc.array(
  fc.record({
    type: fc.constantFrom("", "gauge", "histogram", "summary"),
    names,
    lines: fc.array(
      fc.record({ metric, values: fc.array(value, { minLength: 3, maxLength: 3 }), isQuoted: fc.boolean() }),
      {
        minLength: 1,
        maxLength: 5,
      },
    ),
  }),
  { minLength: 1, maxLength: 8 },
);

type Runs = typeof runs extends fc.Arbitrary<infer T> ? T : never;

function pageOf(all: Runs): Buffer {
  const lines: string[] = [];
  for (const [n, run] of all.entries()) {
    if (run.type !== "") lines.push(`# TYPE family_${n} ${run.type}`);
    for (const { metric: name, values, isQuoted } of run.lines) {
      const labels = run.names.map((label, i) => `${label}="${values[i % 3]}"`);
      lines.push(isQuoted ? `{${[`"${name}"`, ...labels].join(",")}} 1` : `${name}{${labels.join(",")}} 1`);
    }
  }
  return Buffer.from(`${lines.join("\n")}\n# EOF\n`);
}

/** What each line of the page comes to. `everyLine` is called before each. */
function resolveAll(
  page: Buffer,
  isOpenMetrics: boolean,
  everyLine: () => void,
  resolve: (parser: ReturnType<typeof createTextParser>) => string,
): string[] {
  const parser = (isOpenMetrics ? createOpenMetricsParser : createTextParser)(page);
  const found: string[] = [];
  for (let kind = parser.next(); kind !== "end"; kind = parser.next()) {
    if (kind !== "series") continue;
    everyLine();
    try {
      found.push(`${parser.seriesName} ${parser.labelCount} ${resolve(parser)}`);
    } catch (error) {
      if (!(error instanceof ScrapeError)) throw error;
      found.push(error.message);
    }
  }
  return found;
}

describe("label sets by bytes", () => {
  test("are those by texts, also when numbers are given back between two lines", () => {
    fc.assert(
      fc.property(options, runs, fc.boolean(), fc.boolean(), (chosen, all, isOpenMetrics, sweeps) => {
        const page = pageOf(all);
        const identities = new Identities();
        const describeSet = (set: number) => (set === none ? "dropped" : JSON.stringify(identities.labels(set)));
        const plain = new SampleLabels(identities, new LabelsBuilder(), chosen);
        const expected = resolveAll(
          page,
          isOpenMetrics,
          () => {},
          (parser) => {
            const labels = parser.labels();
            return `${describeSet(plain.resolve(labels))}`;
          },
        );
        const lines = new LineLabels(identities, new SampleLabels(identities, new LabelsBuilder(), chosen));
        for (let round = 0; round < 2; round++) {
          const got = resolveAll(
            page,
            isOpenMetrics,
            () => {
              if (sweeps) identities.sweep(true);
            },
            (parser) => describeSet(lines.resolve(parser, page)),
          );
          expect(got).toEqual(expected);
          lines.clear();
        }
      }),
      { numRuns: propertyRuns(1500) },
    );
  });

  test("are those by texts where an external label takes the place of an exposed one that is empty", () => {
    const identities = new Identities();
    const chosen = { ...defaults, externalLabels: [["exported_job", "outer"]] as const };
    const page = Buffer.from('m{job="a",exported_job=""} 1\n'.repeat(3) + 'm{job="a",exported_job="b"} 1\n'.repeat(3));
    const lines = new LineLabels(identities, new SampleLabels(identities, new LabelsBuilder(), chosen));
    const sets: number[] = [];
    resolveAll(
      page,
      false,
      () => {},
      (parser) => `${sets.push(lines.resolve(parser, page))}`,
    );
    const plain = new SampleLabels(identities, new LabelsBuilder(), chosen);
    const setOf = (exported: string) =>
      plain.resolve([
        ["__name__", "m"],
        ["job", "a"],
        ["exported_job", exported],
      ]);
    expect(sets).toEqual([...new Array(3).fill(setOf("")), ...new Array(3).fill(setOf("b"))]);
    expect(setOf("")).not.toBe(setOf("b"));
  });
});
