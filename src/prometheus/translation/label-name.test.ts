import { describe, expect, it } from "vitest";
import { type LabelNameRules, labelName, seriesLabelRules, targetInfoLabelRules } from "./label-name.ts";

type Case = [key: string, expected: string | undefined];

function check(rules: LabelNameRules, cases: readonly Case[]): void {
  it.each(cases)("%j becomes %j", (key, expected) => {
    expect(labelName(key, rules)).toBe(expected);
  });
}

describe("labels of series", () => {
  check(seriesLabelRules, [
    ["a", "a"],
    ["a.b", "a_b"],
    ["a..b", "a_b"],
    ["a__b", "a_b"],
    ["a:b", "a_b"],
    ["a.", "a_"],
    ["_a", "key_a"],
    ["__a", "key_a"],
    [".a", "key_a"],
    ["1a", "key_1a"],
    ["__replica__", "__replica__"],
    ["__a.b__", "__a_b__"],
    ["__a__b__", "__a_b__"],
    ["___", "key_"],
    ["____", undefined],
    ["_", "key_"],
    ["", undefined],
    ["\u00e9", "key_"],
    ["a\u{1f600}b", "a_b"],
  ]);
});

describe("labels of target_info", () => {
  check(targetInfoLabelRules, [
    ["a.b", "a_b"],
    ["a__b", "a__b"],
    ["a..b", "a__b"],
    ["_a", "_a"],
    ["__a", "__a"],
    ["1a", "key_1a"],
    ["___", undefined],
    [".", undefined],
    ["", undefined],
  ]);
});

describe("labels with UTF-8", () => {
  check({ ...seriesLabelRules, utf8: true }, [
    ["a.b", "a.b"],
    ["_a", "_a"],
    ["1a", "1a"],
    ["__", undefined],
    ["", undefined],
  ]);
});
