import { describe, expect, it } from "vitest";
import { metadataUnit, ucumUnit } from "./unit-name.ts";

describe("ucumUnit", () => {
  it.each([
    ["seconds", "s"],
    ["bytes", "By"],
    ["kilobytes", "KBy"],
    ["tebibytes", "TiBy"],
    ["celsius", "Cel"],
    ["percent", "%"],
    ["hertz", "Hz"],
    ["days", "d"],
    ["bytes_per_second", "By/s"],
    ["meters_per_minute", "m/m"],
    ["widgets_per_year", "widgets/y"],
    ["bytes_per_widget", "By/widget"],
    ["widgets", "widgets"],
    ["ratio", "1"],
    ["", ""],
  ])("the word %j is %j", (word, unit) => {
    expect(ucumUnit(word)).toBe(unit);
  });
});

describe("metadataUnit", () => {
  it.each([
    ["s", "seconds"],
    ["m/s", "meters_per_second"],
    ["{x}/s", "per_second"],
    ["{x}", ""],
    ["1", ""],
    ["1/s", "per_second"],
    ["a b", "a_b"],
    ["", ""],
  ])("the unit %j is %j", (unit, word) => {
    expect(metadataUnit(unit)).toBe(word);
  });
});
