import { describe, expect, test } from "vitest";
import { formatFixed, formatShortest, parseGoFloat, parseGoInt } from "./go-numbers.ts";

describe("formatShortest", () => {
  test.each([
    [1234567, "1.234567e+06"],
    [123456, "123456"],
    [1e20, "1e+20"],
    [1e22, "1e+22"],
    [0.0001, "0.0001"],
    [0.00001, "1e-05"],
    [0.5, "0.5"],
    [123456789.5, "1.234567895e+08"],
    [-0, "-0"],
    [Number.NaN, "NaN"],
    [Number.POSITIVE_INFINITY, "+Inf"],
    [1e-100, "1e-100"],
  ])("writes %d as Go's %%v", (value, text) => {
    expect(formatShortest(value)).toBe(text);
  });
});

describe("formatFixed", () => {
  test.each([
    [0.0078125, "0.007812"],
    [-0.0234375, "-0.023438"],
    [1234567, "1234567.000000"],
    [1e22, "10000000000000000000000.000000"],
    [0, "0.000000"],
    [-0, "-0.000000"],
    [Number.NEGATIVE_INFINITY, "-Inf"],
  ])("writes %d as Go's %%f", (value, text) => {
    expect(formatFixed(value)).toBe(text);
  });
});

describe("parseGoInt and parseGoFloat", () => {
  test.each([
    ["9223372036854775807", 9223372036854775807n],
    ["9223372036854775808", undefined],
    ["-9223372036854775808", -9223372036854775808n],
    ["+7", 7n],
    ["", undefined],
    ["0x10", undefined],
    ["1_000", undefined],
    ["1.0", undefined],
  ])("reads the integer %s", (text, value) => {
    expect(parseGoInt(text)).toBe(value);
  });

  test.each([
    ["1.5e3", 1500],
    [".5", 0.5],
    ["5.", 5],
    ["0x1p-2", 0.25],
    ["0x1.8p1", 3],
    ["0x10", undefined],
    ["1_0", 10],
    ["1e1_0", 1e10],
    ["0x_1p4", 16],
    ["_1", undefined],
    ["1__0", undefined],
    ["1_.5", undefined],
    ["-inf", Number.NEGATIVE_INFINITY],
    ["NaN", Number.NaN],
    ["1e999", undefined],
    ["", undefined],
    [" 1", undefined],
    ["1f", undefined],
  ])("reads the float %s", (text, value) => {
    expect(parseGoFloat(text)).toBe(value);
  });
});
