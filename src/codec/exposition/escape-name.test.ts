import fc from "fast-check";
import { expect, test } from "vitest";
import { escapeName, isLegacyLabelName, isLegacyMetricName, unescapeName } from "./escape-name.ts";

const table: [name: string, underscores: string, dots: string, values: string][] = [
  ["", "", "", ""],
  ["a_b:c", "a_b:c", "a__b:c", "a_b:c"],
  ["a.b_c", "a_b_c", "a_dot_b__c", "U__a_2e_b__c"],
  ["0a", "_a", "__a", "U___30_a"],
  ["a b-\u00e9", "a_b__", "a__b____", "U__a_20_b_2d__e9_"],
  ["\u{1f600}", "_", "__", "U___1f600_"],
];
test.each(table)("escapes %j", (name, underscores, dots, values) => {
  expect(escapeName(name, "allow-utf-8")).toBe(name);
  expect(escapeName(name, "underscores")).toBe(underscores);
  expect(escapeName(name, "dots")).toBe(dots);
  expect(escapeName(name, "values")).toBe(values);
});

test.each([
  ["U__a_2e_b__c", "a.b_c"],
  ["a_2e_b", "a_2e_b"],
  ["U__a_", "U__a_"],
  ["U__a_zz_", "U__a_zz_"],
  ["U__a_D800_", "U__a_D800_"],
  ["U__a_1234567_", "U__a_1234567_"],
])("unescapes %j from values", (name, unescaped) => {
  expect(unescapeName(name, "values")).toBe(unescaped);
});

test("unescapes dots, and nothing else", () => {
  expect(unescapeName("a_dot_b__c", "dots")).toBe("a.b_c");
  expect(unescapeName("a_dot_b__c", "underscores")).toBe("a_dot_b__c");
  expect(unescapeName("a_dot_b__c", "allow-utf-8")).toBe("a_dot_b__c");
});

test("every name in the values scheme is legacy and can be told", () => {
  const name = fc.string({ minLength: 1, unit: "grapheme" }).filter((text) => !text.startsWith("U__"));
  fc.assert(
    fc.property(name, (text) => {
      const escaped = escapeName(text, "values");
      expect(isLegacyMetricName(escaped)).toBe(true);
      expect(unescapeName(escaped, "values")).toBe(text);
    }),
  );
});

test("a colon is legacy in metric names only", () => {
  expect([isLegacyMetricName("a:b"), isLegacyLabelName("a:b")]).toEqual([true, false]);
  expect([isLegacyMetricName(""), isLegacyLabelName("")]).toEqual([false, false]);
  expect([isLegacyMetricName("a\n"), isLegacyLabelName("a\n")]).toEqual([false, false]);
});
