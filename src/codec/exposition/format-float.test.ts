import fc from "fast-check";
import { expect, test } from "vitest";
import { formatGoFloat, formatLabelFloat } from "./format-float.ts";

/** Made with Go's strconv.FormatFloat and Prometheus' own formatting of label values. */
const table: [value: number, g: string, f: string, e: string, label: string][] = [
  [0, "0", "0", "0e+00", "0.0"],
  [-0, "-0", "-0", "-0e+00", "0.0"],
  [1, "1", "1", "1e+00", "1.0"],
  [-1, "-1", "-1", "-1e+00", "-1.0"],
  [0.5, "0.5", "0.5", "5e-01", "0.5"],
  [10, "10", "10", "1e+01", "10.0"],
  [100000, "100000", "100000", "1e+05", "100000.0"],
  [999999, "999999", "999999", "9.99999e+05", "999999.0"],
  [1e6, "1e+06", "1000000", "1e+06", "1e+06"],
  [1234567, "1.234567e+06", "1234567", "1.234567e+06", "1.234567e+06"],
  [123456.789, "123456.789", "123456.789", "1.23456789e+05", "123456.789"],
  [0.0001, "0.0001", "0.0001", "1e-04", "0.0001"],
  [0.00001, "1e-05", "0.00001", "1e-05", "1e-05"],
  [1e-7, "1e-07", "0.0000001", "1e-07", "1e-07"],
  [1e21, "1e+21", "1000000000000000000000", "1e+21", "1e+21"],
  [1.5e-10, "1.5e-10", "0.00000000015", "1.5e-10", "1.5e-10"],
  [1e100, "1e+100", `1${"0".repeat(100)}`, "1e+100", "1e+100"],
  [5e-324, "5e-324", `0.${"0".repeat(323)}5`, "5e-324", "5e-324"],
  [Number.NaN, "NaN", "NaN", "NaN", "NaN"],
  [Number.POSITIVE_INFINITY, "+Inf", "+Inf", "+Inf", "+Inf"],
  [Number.NEGATIVE_INFINITY, "-Inf", "-Inf", "-Inf", "-Inf"],
];

test.each(table)("writes %d as Go does", (value, g, f, e, label) => {
  expect([formatGoFloat(value, "g"), formatGoFloat(value, "f"), formatGoFloat(value, "e")]).toEqual([g, f, e]);
  expect(formatLabelFloat(value)).toBe(label);
});

test("every form brings the same double back", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      for (const format of ["e", "f", "g"] as const) expect(Number(formatGoFloat(value, format))).toBe(value);
    }),
    { numRuns: 2000 },
  );
});
