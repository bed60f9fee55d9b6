import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { propertyRuns } from "../../../test/support/property-runs.ts";
import { formatConfigIssue } from "../../model/errors.ts";
import { nodeAt, plainValue } from "./config-node.ts";
import { maxAliasedValues, nodeFromValue, parseYaml } from "./parse-yaml.ts";

function plainOf(text: string): unknown {
  const { root, issues } = parseYaml(text, "c.yaml");
  expect(issues).toEqual([]);
  return root === undefined ? undefined : plainValue(root);
}

function issuesOf(text: string): string[] {
  return parseYaml(text, "c.yaml").issues.map(formatConfigIssue);
}

describe("unquoted scalars have the type that Go gives them", () => {
  const cases: [string, unknown][] = [
    ["abc", "abc"],
    ["", null],
    ["~", null],
    ["null", null],
    ["NULL", null],
    ["nUll", "nUll"],
    ["true", true],
    ["False", false],
    ["yes", "yes"],
    ["No", "No"],
    ["on", "on"],
    ["off", "off"],
    ["y", "y"],
    ["5", 5],
    ["+5", 5],
    ["-5", -5],
    ["0777", 511],
    ["0o17", 15],
    ["-017", -15],
    ["08", 8],
    ["0x1F", 31],
    ["0b101", 5],
    ["0x", "0x"],
    ["1_000", 1000],
    ["_1", "_1"],
    ["1.5", 1.5],
    [".5", 0.5],
    ["5.", 5],
    ["1e3", 1000],
    ["1e999", "1e999"],
    ["-x", "-x"],
    [".", "."],
    [".inf", Number.POSITIVE_INFINITY],
    ["-.Inf", Number.NEGATIVE_INFINITY],
    [".nan", Number.NaN],
    ["9007199254740991", 9007199254740991],
    ["9007199254740993", 9007199254740993n],
    ["-9223372036854775808", -9223372036854775808n],
    ["18446744073709551615", 18446744073709551615n],
    ["18446744073709551616", 18446744073709552000],
    ["2024-01-01", "2024-01-01"],
    ["10s", "10s"],
    ["1.2.3", "1.2.3"],
    ["localhost:4317", "localhost:4317"],
    ["${env:X}", "${env:X}"],
    ["! 5", "5"],
    ["!!str 5", "5"],
    ['!!int "5"', 5],
    ["!!binary aGk=", "hi"],
  ];
  test.each(cases)("%j", (text, value) => {
    expect(plainOf(`k: ${text}\n`)).toEqual({ k: value });
  });

  test("quoted ones are text and keep it", () => {
    const { root } = parseYaml("a: '0123'\nb: \"x\\ty\"\nc: |\n  1\n  2\n", "c.yaml");
    expect(root && plainValue(root)).toEqual({ a: "0123", b: "x\ty", c: "1\n2\n" });
    expect(root && nodeAt(root, ["a"])).toMatchObject({ text: "0123", quoted: true });
  });

  test("typed ones keep the text they were written as", () => {
    const { root } = parseYaml("a: 0123", "c.yaml");
    expect(root && nodeAt(root, ["a"])).toEqual({
      kind: "scalar",
      value: 83,
      text: "0123",
      quoted: false,
      at: { file: "c.yaml", line: 1, column: 4 },
    });
  });
});

describe("structure", () => {
  test("an empty text has no root", () => {
    expect(parseYaml("# nothing\n", "c.yaml")).toEqual({ root: undefined, issues: [], secondDocumentAt: undefined });
  });

  test("keys and values know their place", () => {
    const { root } = parseYaml("a:\n  b: [1, {c: 2}]\n", "f.yaml");
    expect(root && nodeAt(root, ["a", "b", 1, "c"])?.at).toEqual({ file: "f.yaml", line: 2, column: 14 });
    const a = root?.kind === "map" ? root.entries[0] : undefined;
    expect(a?.keyAt).toEqual({ file: "f.yaml", line: 1, column: 1 });
  });

  test("an empty value has the position of its key", () => {
    const { root } = parseYaml("a:\n\n\nb: 1\n", "f.yaml");
    expect(root && nodeAt(root, ["a"])?.at?.line).toBe(1);
  });

  test("keys are texts", () => {
    expect(plainOf("200: a\ntrue: b\n")).toEqual({ "200": "a", true: "b" });
  });

  const merges: [string, string, unknown][] = [
    ["one map", "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", { x: 1, y: 3 }],
    ["own keys win wherever they stand", "a: &a {x: 1}\nb: {x: 3, <<: *a}", { x: 3 }],
    ["the first of a list wins", "a: [&p {x: 1}, &q {x: 2, z: 5}]\nb: {<<: [*p, *q]}", { x: 1, z: 5 }],
    ["a map in place", "b: {<<: {x: 1}, y: 2}", { x: 1, y: 2 }],
    ["a quoted << is a key", 'b: {"<<": {x: 1}}', { "<<": { x: 1 } }],
  ];
  test.each(merges)("merge keys: %s", (_title, text, value) => {
    expect((plainOf(text) as { b: unknown }).b).toEqual(value);
  });

  test("aliases stand for the latest anchor of their name", () => {
    expect(plainOf("a: &x 1\nb: *x\nc: &x 2\nd: *x\n")).toEqual({ a: 1, b: 1, c: 2, d: 2 });
  });

  test("a second document is an issue or ignored", () => {
    expect(issuesOf("a: 1\n---\nb: 2\n")).toEqual(["expected one YAML document, found a second (c.yaml:2:1)"]);
    const ignored = parseYaml("a: 1\n---\nb: 2\n", "c.yaml", { furtherDocuments: "ignore" });
    expect(ignored.issues).toEqual([]);
    expect(ignored.secondDocumentAt?.line).toBe(2);
    expect(ignored.root && plainValue(ignored.root)).toEqual({ a: 1 });
  });
});

describe("faults are named with their place", () => {
  const cases: [string, string, RegExp[]][] = [
    ["duplicate keys", "a: 1\nb: 2\na: 3\n", [/^duplicate key "a", first given in line 1 \(c\.yaml:3:1\)$/]],
    ["two merge keys", "b: {<<: {x: 1}, <<: {y: 1}}", [/^duplicate key "<<", first given in line 1/]],
    ["an unknown alias", "a: *nope\n", [/^YAML: alias "nope" has no anchor before it \(c\.yaml:1:4\)$/]],
    ["an alias in itself", "a: &a [*a]\n", [/alias "a" contains itself/]],
    ["a merge of a list", "b: {<<: [1]}", [/expected a map or a list of maps behind "<<"/]],
    ["a map as a key", "? {a: 1}\n: 2\n", [/expected a plain key/]],
    ["an unclosed list", "a: [1, 2\nb: 3\n", [/^YAML: .*\(c\.yaml:\d+:\d+\)$/]],
    ["a tab as indentation", "a:\n\tb: 1\n", [/^YAML: .*\(c\.yaml:2:1\)$/]],
    ["a tag that does not fit", "a: !!int x\n", [/does not fit/]],
  ];
  test.each(cases)("%s", (_title, text, patterns) => {
    const issues = issuesOf(text);
    for (const pattern of patterns)
      expect(
        issues.some((issue) => pattern.test(issue)),
        issues.join("\n"),
      ).toBe(true);
    expect(parseYaml(text, "c.yaml").root).toBeUndefined();
  });

  test("every duplicate is reported", () => {
    expect(issuesOf("a: 1\na: 2\nb: {c: 1, c: 2}\n")).toHaveLength(2);
  });

  test("aliases cannot multiply without end", () => {
    let text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (let i = 1; i < 12; i++)
      text += `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(", ")}]\n`;
    expect(issuesOf(text)).toEqual([expect.stringContaining(`aliases stand for more than ${maxAliasedValues} values`)]);
  });

  test("deep nesting is refused", () => {
    expect(issuesOf("[".repeat(100_000))[0]).toContain("nested deeper");
    expect(issuesOf(`${"[".repeat(300)}${"]".repeat(300)}`)[0]).toContain("nested deeper");
  });
});

describe("properties", () => {
  test("any JSON text reads as its value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const { root } = parseYaml(`k: ${JSON.stringify(value)}`, "p");
        const withNumbers = (_key: string, item: unknown) => (typeof item === "bigint" ? Number(item) : item);
        expect(root && JSON.stringify(plainValue(root), withNumbers)).toBe(JSON.stringify({ k: value }));
      }),
    );
  });

  test("no text makes it throw", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(..."ab: -[]{}&*<!|>\n\t#'\"%@0~,?".split("")), maxLength: 60 }),
        (text) => {
          parseYaml(text, "p");
        },
      ),
      { numRuns: propertyRuns(500) },
    );
  });

  test("nodeFromValue keeps a plain value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.stringify(plainValue(nodeFromValue(value)))).toBe(JSON.stringify(value));
      }),
    );
  });
});
