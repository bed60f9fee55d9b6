/** What is refused when relabel rules are compiled. */

import { expect, test } from "vitest";
import { ConfigError } from "../../model/errors.ts";
import { compileRelabel } from "./relabel.ts";
import { rule } from "./test-relabel.ts";

test.each(["(?=a)", "(", "a**", "\\8", "(?<n>a)(?<n>b)", "a{1001}", "[b-a]", "\\Qa"])(
  "refuses %j with the place of the rule",
  (regex) => {
    const compile = () => compileRelabel([rule({}), rule({ regex, action: "keep" })], "utf8");
    expect(compile).toThrow(ConfigError);
    expect(compile).toThrow(/^\[1\]: error parsing regexp: /);
  },
);

test("refuses an expression of unbounded length", () => {
  expect(() => compileRelabel([rule({ regex: `[${"a".repeat(70_000)}]` })], "utf8")).toThrow(/the limit is 65536/);
});

test("refuses hashmod without a modulus", () => {
  expect(() => compileRelabel([rule({ action: "hashmod", targetLabel: "a" })], "utf8")).toThrow(/modulus above 0/);
});

test("knows when there is nothing to do", () => {
  expect([compileRelabel([], "utf8").isEmpty, compileRelabel([rule({})], "utf8").isEmpty]).toEqual([true, false]);
});
