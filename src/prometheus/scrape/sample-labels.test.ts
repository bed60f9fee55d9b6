/** From the labels of a line to a series: honor_labels, relabeling, external labels, limits, names. */

import { describe, expect, test } from "vitest";
import { Identities, type Label } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import { LabelsBuilder } from "../relabel/labels-builder.ts";
import { isValidLabelName, isValidMetricName } from "../relabel/names.ts";
import { compileRelabel, type RelabelRule } from "../relabel/relabel.ts";
import { SampleLabels, type SampleLabelsOptions, ScrapeError } from "./sample-labels.ts";

interface Options extends Partial<Omit<SampleLabelsOptions, "relabel">> {
  readonly rules?: readonly Partial<RelabelRule>[];
  readonly scheme?: "utf8" | "legacy";
}

const defaults = { sourceLabels: [], separator: ";", regex: "(.*)", modulus: 0n, targetLabel: "", replacement: "$1" };

/** The series of a line as `name=value` pairs, or undefined when it is dropped. */
function resolve(labels: Record<string, string> | readonly Label[], options: Options = {}): string | undefined {
  const { rules, scheme = "utf8", ...rest } = options;
  const identities = new Identities();
  const sampleLabels = new SampleLabels(identities, new LabelsBuilder(), {
    targetLabels: [],
    honorLabels: false,
    relabel:
      rules &&
      compileRelabel(
        rules.map((rule) => ({ ...defaults, action: "replace" as const, ...rule })),
        scheme,
      ),
    limits: { labels: 0, nameLength: 0, valueLength: 0 },
    externalLabels: [],
    isValidMetricName: (name) => isValidMetricName(name, scheme),
    isValidLabelName: (name) => isValidLabelName(name, scheme),
    ...rest,
  });
  const list = Array.isArray(labels) ? labels : Object.entries(labels as Record<string, string>);
  const set = sampleLabels.resolve([["__name__", "m"], ...list]);
  if (set === none) return undefined;
  return identities
    .labels(set)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
}

const job: Label[] = [
  ["instance", "i"],
  ["job", "j"],
];

describe("conflicts with labels of the target", () => {
  test.each([
    { exposed: {}, honored: "__name__=m,instance=i,job=j", moved: "__name__=m,instance=i,job=j" },
    {
      exposed: { job: "x" },
      honored: "__name__=m,instance=i,job=x",
      moved: "__name__=m,exported_job=x,instance=i,job=j",
    },
    { exposed: { job: "" }, honored: "__name__=m,instance=i", moved: "__name__=m,instance=i,job=j" },
    {
      exposed: { job: "x", exported_job: "y" },
      honored: "__name__=m,exported_job=y,instance=i,job=x",
      moved: "__name__=m,exported_exported_job=x,exported_job=y,instance=i,job=j",
    },
    {
      exposed: { a: "", b: "1" },
      honored: "__name__=m,b=1,instance=i,job=j",
      moved: "__name__=m,b=1,instance=i,job=j",
    },
  ])("$exposed", ({ exposed: labels, honored, moved }) => {
    const exposed = Object.entries(labels) as Label[];
    expect(resolve(exposed, { targetLabels: job, honorLabels: true })).toBe(honored);
    expect(resolve(exposed, { targetLabels: job })).toBe(moved);
  });

  test("the shortest name is moved first, past names that the target has itself", () => {
    const targetLabels: Label[] = [
      ["exported_foo", "t2"],
      ["foo", "t1"],
    ];
    expect(resolve({ foo: "a", exported_foo: "b" }, { targetLabels })).toBe(
      "__name__=m,exported_exported_exported_foo=b,exported_exported_foo=a,exported_foo=t2,foo=t1",
    );
  });
});

describe("relabeling", () => {
  test("drops series, and what has no label left", () => {
    expect(resolve({ a: "1" }, { rules: [{ action: "drop", sourceLabels: ["a"], regex: "1" }] })).toBeUndefined();
    expect(resolve({ a: "1" }, { rules: [{ action: "labeldrop", regex: ".*" }] })).toBeUndefined();
  });

  test("sees labels of the target, and may rename the series", () => {
    const rules = [{ sourceLabels: ["__name__", "job"], targetLabel: "__name__", replacement: "$1", separator: "_" }];
    expect(resolve({}, { targetLabels: job, rules })).toBe("__name__=m_j,instance=i,job=j");
  });

  test("comes before external labels, which win over all", () => {
    expect(resolve({ dc: "own" }, { externalLabels: [["dc", "x"]] })).toBe("__name__=m,dc=x");
  });
});

describe("refusals", () => {
  const four = { a: "1", b: "2", c: "3" };
  const limits = { labels: 0, nameLength: 0, valueLength: 0 };
  test.each([
    {
      what: "a label twice",
      labels: [
        ["a", "1"],
        ["a", "1"],
      ] as Label[],
      options: {},
      reason: "invalid_series",
    },
    {
      what: "the name as a label again",
      labels: [["__name__", "x"]] as Label[],
      options: {},
      reason: "invalid_series",
    },
    {
      what: "no name",
      labels: {},
      options: {
        rules: [
          { targetLabel: "__name__", replacement: "" },
          { targetLabel: "x", replacement: "1" },
        ],
      },
      reason: "invalid_series",
    },
    {
      what: "a name that is not legacy",
      labels: {},
      options: { scheme: "legacy", rules: [{ targetLabel: "__name__", replacement: "a.b" }] },
      reason: "invalid_series",
    },
    {
      what: "a label that is not legacy",
      labels: { "a.b": "1" },
      options: { scheme: "legacy" },
      reason: "invalid_series",
    },
    {
      what: "more labels than label_limit",
      labels: four,
      options: { limits: { ...limits, labels: 3 } },
      reason: "label_limit",
    },
    {
      what: "a longer name than allowed",
      labels: {},
      options: { limits: { ...limits, nameLength: 7 } },
      reason: "label_limit",
    },
    {
      what: "a longer value than allowed",
      labels: { a: "\u20ac\u20ac" },
      options: { limits: { ...limits, valueLength: 5 } },
      reason: "label_limit",
    },
  ] as const)("$what", ({ labels, options, reason }) => {
    let caught: unknown;
    try {
      resolve(labels as Record<string, string>, options as Options);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(ScrapeError);
    expect(caught).toMatchObject({ reason });
  });

  test("a series at its limits is taken", () => {
    expect(resolve({ a: "\u20ac", b: "" }, { limits: { labels: 2, nameLength: 8, valueLength: 3 } })).toBe(
      "__name__=m,a=\u20ac",
    );
    expect(resolve({ "a.b": "1" })).toBe("__name__=m,a.b=1");
  });
});
