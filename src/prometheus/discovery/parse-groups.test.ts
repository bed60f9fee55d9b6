/** Target groups as files and endpoints write them. */

import { describe, expect, test } from "vitest";
import { DecodeError } from "../../model/errors.ts";
import { parseJsonGroups, parseYamlGroups } from "./parse-groups.ts";

const json = (text: string) => parseJsonGroups(Buffer.from(text));
const yaml = (text: string) => parseYamlGroups(Buffer.from(text), "targets.yml");
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe("JSON", () => {
  test.each([
    ["[]", []],
    ["null", []],
    ['[{"targets":["a:1","b"],"labels":{"x":"y"}}]', [{ addresses: ["a:1", "b"], labels: { x: "y" } }]],
    [
      '[{"Targets":["a"],"LABELS":null},{}]',
      [
        { addresses: ["a"], labels: {} },
        { addresses: [], labels: {} },
      ],
    ],
    ['[{"targets":[null],"labels":{"a":null}}]', [{ addresses: [""], labels: { a: "" } }]],
  ])("reads %s", (text, groups) => expect(plain(json(text))).toEqual(groups));

  test("keeps hostile label names as plain keys", () => {
    const labels = json('[{"labels":{"__proto__":"x","constructor":"y"}}]')[0]?.labels;
    expect(Object.entries(labels ?? {})).toEqual([
      ["__proto__", "x"],
      ["constructor", "y"],
    ]);
  });

  test("replaces lone surrogates and invalid bytes", () => {
    const bytes = Buffer.concat([Buffer.from('[{"targets":["\\ud800'), Buffer.from([0xff]), Buffer.from('"]}]')]);
    expect(parseJsonGroups(bytes)[0]?.addresses).toEqual(["\ufffd\ufffd"]);
  });

  test.each([
    ["", "empty, not JSON"],
    ["<html>secret", "not valid JSON"],
    ["{}", "expected a list of groups, got object"],
    ["[null]", "[0]: a group is null"],
    ['[{"targets":[]},3]', "[1]: expected a group, got number"],
    ['[{"target":["a"]}]', '[0]: unknown field "target"'],
    ['[{"targets":"a"}]', "[0]::targets: expected a list of strings, got string"],
    ['[{"targets":[1]}]', "[0]::targets[0]: expected a string, got number"],
    ['[{"labels":{"a":1}}]', "[0]::labels::a: expected a string, got number"],
    ['[{"labels":["a"]}]', "[0]::labels: expected a map of strings, got a list"],
    ['[{"labels":{"":"a"}}]', '[0]::labels: "" is not a valid label name'],
    ["\ufeff[]", "not valid JSON"],
  ])("refuses %j", (text, message) => {
    expect(() => json(text)).toThrow(DecodeError);
    expect(() => json(text)).toThrow(message);
    expect(() => json(text)).not.toThrow("secret");
  });
});

describe("YAML", () => {
  test.each([
    ["", []],
    ["# nothing\n", []],
    ["[]", []],
    ["- targets: ['a:1', b]\n  labels: {x: y}\n", [{ addresses: ["a:1", "b"], labels: { x: "y" } }]],
    [
      "- targets:\n- labels:\n",
      [
        { addresses: [], labels: {} },
        { addresses: [], labels: {} },
      ],
    ],
    ["- targets: [1, ~]\n  labels: {p: 0080, t: true}\n", [{ addresses: ["1", ""], labels: { p: "0080", t: "true" } }]],
  ])("reads %j", (text, groups) => expect(plain(yaml(text))).toEqual(groups));

  test.each([
    ["- null\n", "[0]: a group is null"],
    ["a: b", "expected a list of groups, got a map"],
    ["- a", "[0]: expected a group, got a scalar"],
    ["- target: [a]", '[0]: unknown field "target"'],
    ["- targets: a", "[0]::targets: expected a list of strings"],
    ["- targets: [[a]]", "[0]::targets[0]: expected a string, got a list"],
    ["- labels: {a: [b]}", "[0]::labels::a: expected a string, got a list"],
    ["- labels: [a]", "[0]::labels: expected a map of strings"],
    ["- targets: []\n  targets: []\n", "targets"],
    ["- targets: [", "targets.yml:"],
  ])("refuses %j", (text, message) => {
    expect(() => yaml(text)).toThrow(DecodeError);
    expect(() => yaml(text)).toThrow(message);
  });
});
