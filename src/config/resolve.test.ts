import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { nodeAt, plainValue } from "../codec/yaml/config-node.ts";
import { formatConfigIssue } from "../model/errors.ts";
import { resolveConfig } from "./resolve.ts";

const files: Record<string, string> = {
  "base.yaml": "exporters:\n  debug: {verbosity: basic, a: [1, 2]}\n  otlp: {x: 1}\nprocessors: {batch: {}}\n",
  "over.yaml": "exporters:\n  debug: {a: [3]}\n  file: {}\nprocessors:\n",
  token: "s3cret\n",
  "part.yaml": "endpoint: localhost:1\nnested:\n  name: ${env:NAME}\n",
  "loop.yaml": "again: ${file:loop.yaml}\n",
  "two.yaml": "a: 1\n---\nb: 2\n",
  "bad.yaml": "a: [1\nb: 2\n",
  "list.yaml": "- 1\n",
  "empty.yaml": "",
};
const env: Record<string, string> = {
  NAME: "world",
  NUM: "0123",
  BOOL: "true",
  LIST: "[1, '${NAME}']",
  MAP: "{a: 1, b: {c: '${env:NAME}'}}",
  QUOTED: '"q"',
  COLON: "Bearer: x y",
  DOLLARS: "a$$b",
  EMPTY: "",
  INNER: "NAME",
  SELF: "${env:SELF}",
  TWICE: "${TWICE}${TWICE}",
  HASH: "abc #def",
  INVALID: "{a: 1",
};

function readFile(path: string): string {
  const text = files[path];
  if (text === undefined) throw Object.assign(new Error("nope"), { code: "ENOENT" });
  return text;
}

function resolve(uris: string[], sets: string[] = []) {
  return resolveConfig({ uris, sets, env, readFile });
}

function plainOf(uris: string[], sets: string[] = []): unknown {
  const { root, issues } = resolve(uris, sets);
  expect(issues).toEqual([]);
  return root === undefined ? undefined : plainValue(root);
}

describe("sources", () => {
  const merged = { exporters: { debug: { verbosity: "basic", a: [3] }, otlp: { x: 1 }, file: {} }, processors: null };
  const cases: [string, string[], string[], unknown][] = [
    ["maps are merged deep, lists replaced, null replaces", ["base.yaml", "file:over.yaml"], [], merged],
    ["inline YAML", ["yaml:a: {b: 1}"], [], { a: { b: 1 } }],
    ["top-level keys may be paths", ["yaml:a::b::c: 1", "yaml:a::b::d: 2"], [], { a: { b: { c: 1, d: 2 } } }],
    ["an environment variable", ["env:MAP"], [], { a: 1, b: { c: "world" } }],
    ["an empty source gives nothing", ["empty.yaml"], [], undefined],
    ["an unset variable gives nothing", ["env:NOPE", "yaml:a: 1"], [], { a: 1 }],
    ["--set with dots", ["yaml:a: {b: 1, c: 2}"], ["a.b=5"], { a: { b: 5, c: 2 } }],
    ["--set with colons keeps dots", ["yaml:a: {b.x: 1}"], ["a::b.x=5"], { a: { "b.x": 5 } }],
    ["--set with a YAML value", [], ["a.b={c: [1]}"], { a: { b: { c: [1] } } }],
    ["--set without a value is null", ["yaml:a: {b: 1}"], ["a.b="], { a: { b: null } }],
    ["--set is expanded", [], ["a=${env:NUM}"], { a: 83 }],
    ["only the first document counts", ["two.yaml"], [], { a: 1 }],
  ];
  test.each(cases)("%s", (_title, uris, sets, expected) => {
    expect(plainOf(uris, sets)).toEqual(expected);
  });

  const faults: [string, string[], string[], string][] = [
    ["a missing file", ["nope.yaml"], [], 'cannot read the file "nope.yaml": no such file'],
    ["http", ["https://x/y"], [], "configuration from https comes later: use a file for now"],
    ["an unknown scheme", ["foo:bar"], [], 'expected env, file or yaml before the ":", got "foo"'],
    ["a list", ["list.yaml"], [], "expected a map with receivers, exporters and service (list.yaml:1:1)"],
    ["--set without =", [], ["a.b"], 'expected --set in the form "a.b.c=value", found no "="'],
    ["--set with an empty key", [], ["a..b=secret"], 'expected --set in the form "a.b.c=value", got "a..b="'],
  ];
  test.each(faults)("%s is an issue", (_title, uris, sets, expected) => {
    expect(resolve(uris, sets).issues.map(formatConfigIssue)).toEqual([expected]);
  });

  test("broken YAML has its place, and the other sources are still read", () => {
    const { issues, root } = resolve(["bad.yaml", "yaml:a: 1"]);
    expect(issues[0]?.at).toMatchObject({ file: "bad.yaml" });
    expect(root && plainValue(root)).toEqual({ a: 1 });
  });

  test("every part keeps the place it came from", () => {
    const { root } = resolve(["base.yaml", "over.yaml"], ["exporters.otlp.x=2"]);
    const at = (...path: string[]) => (root === undefined ? undefined : nodeAt(root, path)?.at);
    expect(at("exporters", "debug", "verbosity")).toEqual({ file: "base.yaml", line: 2, column: 22 });
    expect(at("exporters", "debug", "a")).toEqual({ file: "over.yaml", line: 2, column: 14 });
    expect(at("exporters", "otlp", "x")).toEqual({ file: "--set exporters.otlp.x", line: 1, column: 1 });
  });

  test("lists the files that were read", () => {
    expect(resolve(["base.yaml", "yaml:a: {t: '${file:token}', u: '${file:token}'}"]).files).toEqual([
      "base.yaml",
      "token",
    ]);
  });

  test("warns of further documents", () => {
    expect(resolve(["two.yaml"]).warnings.map(formatConfigIssue)).toEqual([
      "only the first YAML document is read (two.yaml:2:1)",
    ]);
  });
});

describe("references", () => {
  const cases: [string, unknown][] = [
    ["${env:NAME}", "world"],
    ["${NAME}", "world"],
    ["hello ${NAME}!", "hello world!"],
    ["${env:NUM}", 83],
    ["x${env:NUM}", "x0123"],
    ["${env:BOOL}", true],
    ["${env:LIST}", [1, "world"]],
    ["${env:MAP}", { a: 1, b: { c: "world" } }],
    ["x-${env:COLON}", "x-Bearer: x y"],
    ["${env:QUOTED}", '"q"'],
    ["${env:HASH}", "abc #def"],
    ["${env:INVALID}", "{a: 1"],
    ["${env:EMPTY}", null],
    ["${env:EMPTY:-x}", null],
    ["${env:NOPE:-x}", "x"],
    ["${env:NOPE:-5}", 5],
    ["${env:NOPE:-a:-b}", "a:-b"],
    ["${env:NOPE:-}", null],
    ["a${env:NOPE}b", "ab"],
    ["${env:${INNER}}", "world"],
    ["${${INNER}}", "world"],
    ["${yaml:[1]}", [1]],
    ["${file:token}", "s3cret"],
    ["Bearer ${file:token}", "Bearer s3cret"],
    ["$NAME", "$NAME"],
    ["$1", "$1"],
    ["$$", "$"],
    ["$${NAME}", "${NAME}"],
    ["$$${NAME}", "$world"],
    ["$$$${NAME}", "$${NAME}"],
    ["$${NAME} ${NAME}", "${NAME} world"],
    ["${env:DOLLARS}", "a$b"],
    ["${env:NAME", "${env:NAME"],
    ["a ${env:X and ${NAME}", "a ${env:X and world"],
    ["}${NAME}{", "}world{"],
  ];
  test.each(cases)("%s", (text, expected) => {
    expect(plainOf([`yaml:k: ${JSON.stringify(text)}`])).toEqual({ k: expected });
  });

  test("keys are left alone", () => {
    expect(plainOf(['yaml:"${NAME}": 1'])).toEqual({ "${NAME}": 1 });
  });

  test("an expanded value has the place of its reference and remembers its text", () => {
    const { root } = resolve(["yaml:a: 1\nk: ${env:NUM}\n"]);
    expect(root && nodeAt(root, ["k"])).toEqual({
      kind: "scalar",
      value: 83,
      text: "0123",
      quoted: false,
      at: { file: "yaml:", line: 2, column: 4 },
      expansion: { reference: "${env:NUM}", text: "0123" },
    });
    expect(root && nodeAt(resolve(["yaml:a: 1\nk: ${env:MAP}\n"]).root ?? root, ["k", "b", "c"])?.at?.line).toBe(2);
  });

  test("what is inside an included file keeps its place there", () => {
    const { root } = resolve(["yaml:k: ${file:part.yaml}"]);
    expect(root && plainValue(root)).toEqual({ k: { endpoint: "localhost:1", nested: { name: "world" } } });
    expect(root && nodeAt(root, ["k", "nested", "name"])?.at).toEqual({ file: "part.yaml", line: 3, column: 9 });
  });

  test("an unset variable is a warning with its place", () => {
    expect(resolve(["yaml:a: {k: '${env:NOPE}'}"]).warnings.map(formatConfigIssue)).toEqual([
      'a::k: the environment variable "NOPE" is not set, which leaves the value empty (yaml::1:8)',
    ]);
  });

  const faults: [string, RegExp][] = [
    [
      "${1}",
      /^k: expected the name of an environment variable, got "1": write "\$\$\{" where no reference is meant \(yaml::1:4\)$/,
    ],
    ["${}", /expected the name of an environment variable/],
    ["${env:A B}", /expected the name of an environment variable/],
    ["${NAME:-x}", /got "NAME": a default is written "\$\{env:NAME:-\.\.\.\}"/],
    ["${foo:x}", /expected env, file or yaml before the ":", got "foo"/],
    ["${P:-x}", /expected a reference like "\$\{env:NAME\}", got "\$\{P:-x\}"/],
    ["${env:$NAME}", /a "\$" may not stand inside/],
    ["${https://x}", /comes later/],
    ["${file:nope}", /cannot read the file "nope": no such file/],
    ["${env:SELF}", /refers to itself/],
    ["${env:TWICE}", /refers to itself|too much text/],
    ["${file:loop.yaml}", /refers to itself/],
  ];
  test.each(faults)("%s is an issue", (text, pattern) => {
    const { issues } = resolve([`yaml:k: ${JSON.stringify(text)}`]);
    expect(issues).toHaveLength(1);
    expect(issues.map(formatConfigIssue).join("\n")).toMatch(pattern);
  });

  test("references that multiply end at one issue, with the place of the first", () => {
    const bomb: Record<string, string> = { A0: "[x, x]" };
    for (let i = 1; i < 40; i++) bomb[`A${i}`] = `['\${A${i - 1}}', '\${A${i - 1}}']`;
    const { issues } = resolveConfig({ uris: ["yaml:k: ${A39}"], sets: [], env: bomb });
    expect(issues).toMatchObject([
      { message: "more than 100000 references", at: { file: "yaml:", line: 1, column: 4 } },
    ]);
  });

  test("all issues are found at once", () => {
    expect(resolve(["yaml:a: '${1}'\nb: ['${foo:x}', {c: '${file:nope}'}]"]).issues.map((issue) => issue.path)).toEqual(
      ["a", "b[0]", "b[1]::c"],
    );
  });
});

describe("properties", () => {
  const piece = fc.constantFrom("$", "{", "}", "env:", "NAME", "${", "${NAME}", ":-", "x", "$$", "${env:NOPE:-y}");
  test("no text makes it throw, and no dollar means no change", () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join("");
        const { root } = resolve([`yaml:k: ${JSON.stringify(text)}`]);
        if (!text.includes("$")) expect(root && plainValue(root)).toEqual({ k: text });
      }),
      { numRuns: propertyRuns(500) },
    );
  });
});

describe("the disk", () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
  });

  test("files are read from it", () => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-"));
    folders.push(folder);
    const path = join(folder, "c.yaml");
    writeFileSync(path, "a: 1\n");
    const broken = join(folder, "b.yaml");
    writeFileSync(broken, Buffer.from([0x61, 0x3a, 0xff]));
    const { root, issues } = resolveConfig({ uris: [path, broken, folder], sets: [], env: {} });
    expect(root && plainValue(root)).toEqual({ a: 1 });
    expect(issues.map((issue) => issue.message)).toEqual([
      `cannot read the file ${JSON.stringify(broken)}: not UTF-8 text`,
      `cannot read the file ${JSON.stringify(folder)}: it is a directory`,
    ]);
  });
});
