/** Label sets under construction: emptiness is absence, and the two orders. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareUtf8 } from "./compare-utf8.ts";
import { LabelsBuilder } from "./labels-builder.ts";
import { isValidLabelName, isValidMetricName } from "./names.ts";
import { parseSimplePattern } from "./simple-pattern.ts";

describe("LabelsBuilder", () => {
  test("reads an absent label as empty", () => {
    const builder = new LabelsBuilder([["a", "1"]]);
    expect([builder.get("a"), builder.get("b"), builder.get("__proto__"), builder.has("b")]).toEqual([
      "1",
      "",
      "",
      false,
    ]);
  });

  test("deletes a label that is set to nothing", () => {
    const builder = new LabelsBuilder([["a", "1"]]);
    builder.set("a", "");
    expect([builder.size, builder.has("a")]).toEqual([0, false]);
  });

  test("leaves empty values out of what it starts with", () => {
    const builder = new LabelsBuilder();
    builder.reset([
      ["a", "1"],
      ["b", ""],
      ["a", "2"],
      ["c", "1"],
      ["c", ""],
    ]);
    expect(builder.entries()).toEqual([["a", "2"]]);
  });

  test("forgets everything on reset", () => {
    const builder = new LabelsBuilder([["a", "1"]]);
    builder.set("b", "2");
    builder.reset([]);
    expect([...builder]).toEqual([]);
  });

  test("walks unchanged labels first, then changed ones in the order of their first change", () => {
    const builder = new LabelsBuilder([
      ["a", "1"],
      ["b", "2"],
      ["c", "3"],
    ]);
    builder.set("a", "4");
    builder.set("d", "5");
    builder.set("a", "6");
    expect(builder.entries()).toEqual([
      ["b", "2"],
      ["c", "3"],
      ["a", "6"],
      ["d", "5"],
    ]);
  });

  test("sorts by the bytes of UTF-8, where astral characters come last", () => {
    const builder = new LabelsBuilder(
      ["\u{1f600}", "\uff5e", "b", "a", "aa", "Z", "\u00e9"].map((name) => [name, "1"]),
    );
    expect(builder.sortedEntries().map(([name]) => name)).toEqual([
      "Z",
      "a",
      "aa",
      "b",
      "\u00e9",
      "\uff5e",
      "\u{1f600}",
    ]);
  });
});

test("compareUtf8 agrees with the order of the encoded bytes", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (a, b) => {
      expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
  );
});

describe("names", () => {
  test.each([
    ["a", true, true, true],
    ["_a1", true, true, true],
    ["a:b", false, true, true],
    ["1a", false, false, true],
    ["a-b", false, false, true],
    ["a\n", false, false, true],
    ["", false, false, false],
    ["\ud800", false, false, false],
    ["\u00e9 \u{1f600}", false, false, true],
  ])("%j: legacy label %s, legacy metric %s, UTF-8 %s", (name, label, metric, utf8) => {
    expect([isValidLabelName(name, "legacy"), isValidMetricName(name, "legacy")]).toEqual([label, metric]);
    expect([isValidLabelName(name, "utf8"), isValidMetricName(name, "utf8")]).toEqual([utf8, utf8]);
  });
});

describe("parseSimplePattern", () => {
  test.each([
    "",
    "a",
    "foo|bar|",
    "(foo|bar)",
    "(?:foo|bar)",
    "foo.*",
    ".*foo",
    ".+foo.*",
    ".*",
    ".+",
    "(.*)",
    "(.+)",
    "go_.*|process_.*|up",
    "__meta_label_(.+)",
    "(.*):(.+)",
    "((.*)-x)",
    "a\\.b",
  ])("takes %j", (regex) => expect(parseSimplePattern(regex)).toBeDefined());

  test.each([
    "a*",
    ".*?a",
    "(a)?",
    "(a)(b)",
    "a.b",
    "[a]",
    "a{2}",
    "(?i)a",
    "^a$",
    "a)|(b",
    "(a",
    "\\d",
    ".*.*",
    "(?P<n>.*)",
    "(.*)|a",
    "a\\",
    ")(",
  ])("leaves %j to the engine", (regex) => expect(parseSimplePattern(regex)).toBeUndefined());
});
