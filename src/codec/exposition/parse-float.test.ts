import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseGoFloat, parseGoFloatText } from "./parse-float.ts";

function parseBytes(text: string): number | undefined {
  const bytes = Buffer.from(`9${text}9`);
  return parseGoFloat(bytes, 1, bytes.length - 1);
}

const both = [
  ["0", 0],
  ["-0", -0],
  ["+1", 1],
  [".5", 0.5],
  ["5.", 5],
  ["1e3", 1000],
  ["1E+03", 1000],
  ["12.5e-1", 1.25],
  ["9007199254740993", 9007199254740992],
  ["123456789012345678901234567890", 1.2345678901234568e29],
  ["0.1e-22", 1e-23],
  ["1.7976931348623157e308", Number.MAX_VALUE],
  ["4.9e-324", Number.MIN_VALUE],
  ["1e-400", 0],
  ["0e99999999999", 0],
  ["nan", Number.NaN],
  ["NaN", Number.NaN],
  ["inf", Number.POSITIVE_INFINITY],
  ["+Inf", Number.POSITIVE_INFINITY],
  ["-INFINITY", Number.NEGATIVE_INFINITY],
] as const;

const neither = [
  "",
  "+",
  ".",
  "e5",
  "1e",
  "1e+",
  "1.2.3",
  "1 ",
  " 1",
  "1,5",
  "+nan",
  "infi",
  "0x10",
  "1e400",
  "true",
  "--1",
];

test.each(both)("reads %j", (text, value) => {
  expect(parseBytes(text)).toBe(value);
  expect(parseGoFloatText(text)).toBe(value);
});

test.each(neither)("refuses %j", (text) => {
  expect(parseBytes(text)).toBeUndefined();
  expect(parseGoFloatText(text)).toBeUndefined();
});

describe("label values", () => {
  const table = [
    ["1_000", 1000],
    ["1_2.5_0e1_0", 125_000_000_000],
    ["0x1p4", 16],
    ["-0X.8P1", -1],
    ["0x_1p0", 1],
    ["0x1p-1074", Number.MIN_VALUE],
    ["0x1p-1075", 0],
    ["0x1.8p-1075", Number.MIN_VALUE],
    ["0x1.00000000000008p0", 1],
    ["0x1.00000000000008000000000000001p0", 1 + Number.EPSILON],
    ["0x1.fffffffffffff7p1023", Number.MAX_VALUE],
    ["0x1.fffffffffffff8p1023", undefined],
    ["0x1p1024", undefined],
    ["0x1", undefined],
    ["0xp1", undefined],
    ["_1", undefined],
    ["1_", undefined],
    ["1__0", undefined],
    ["1_.5", undefined],
    ["1_e5", undefined],
    ["0x1p_1", undefined],
  ] as const;
  test.each(table)("%j is %j", (text, value) => {
    expect(parseGoFloatText(text)).toBe(value);
    expect(parseBytes(text)).toBeUndefined();
  });
});

test("every double that is written is read back", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      // Written without its sign, -0 is a 0.
      expect(parseBytes(value.toExponential())).toBe(value + 0);
      expect(parseGoFloatText(String(value))).toBe(value + 0);
    }),
    { numRuns: 2000 },
  );
});
