import { expect, it } from "vitest";
import { parseBound } from "./parse-bound.ts";

it.each([
  ["1", 1],
  ["1.0", 1],
  [".5", 0.5],
  ["5.", 5],
  ["-2.5e-3", -0.0025],
  ["1e+06", 1_000_000],
  ["+Inf", Number.POSITIVE_INFINITY],
  ["inf", Number.POSITIVE_INFINITY],
  ["-Inf", Number.NEGATIVE_INFINITY],
  ["", undefined],
  [" 1", undefined],
  ["NaN", Number.NaN],
  ["-NaN", undefined],
  ["0x10", undefined],
  ["1_0", undefined],
  ["one", undefined],
])("the bound %j is %j", (text, bound) => {
  expect(parseBound(text)).toBe(bound);
});
