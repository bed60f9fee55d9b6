import { describe, expect, it } from "vitest";
import { expandEnv } from "./expand-env.ts";

const variables: Readonly<Record<string, string>> = { TEST: "value", A_1: "one" };
const env = (name: string): string | undefined => variables[name];

describe("expandEnv", () => {
  it.each([
    ["foo", "foo", []],
    ["${TEST}", "value", []],
    ["foo${TEST}bar$A_1-", "foovaluebarone-", []],
    ["foo$${TEST}", "foo${TEST}", []],
    ["foo$$bar", "foo$bar", []],
    ["${$}", "$", []],
    ["a$UNSET b", "a b", ["UNSET"]],
    ["a${}b", "ab", []],
    ["a${b", "ab", []],
    ["cost: 5$ only", "cost: 5$ only", []],
  ])("turns %j into %j", (text, expected, missing) => {
    expect(expandEnv(text, env)).toEqual({ text: expected, missing });
  });
});
