import { describe, expect, it } from "vitest";
import { wholeCount } from "./whole-count.ts";

describe("counts", () => {
  it.each([
    ["a whole number", 5, 5n],
    ["a fraction, cut", 5.9, 5n],
    ["a minus zero", -0, 0n],
    ["a small negative fraction, cut", -0.5, 0n],
    ["a number above 2^63", 2 ** 63 + 2048, 2n ** 63n + 2048n],
    ["a negative number, wrapped around", -2, 2n ** 64n - 2n],
    ["the lowest number that wraps around", -(2 ** 63), 2n ** 63n],
    ["NaN", Number.NaN, 2n ** 63n],
    ["infinity", Number.POSITIVE_INFINITY, 2n ** 63n],
    ["minus infinity", Number.NEGATIVE_INFINITY, 2n ** 63n],
    ["a number beyond 64 bits", 2 ** 64, 2n ** 63n],
  ])("are %s as otelcol-contrib sends it", (_, value, expected) => {
    expect(wholeCount(value)).toBe(expected);
  });
});
