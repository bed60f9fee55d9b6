/** The semantics of every relabel action. */

import { describe, expect, test } from "vitest";
import type { NameScheme } from "./names.ts";
import type { RelabelRule } from "./relabel.ts";
import { type LabelMap, relabel } from "./test-relabel.ts";

interface Case {
  readonly title: string;
  readonly labels?: LabelMap;
  readonly rules: readonly Partial<RelabelRule>[];
  readonly scheme?: NameScheme;
  readonly expected: LabelMap | "dropped";
}

const abc: LabelMap = { a: "foo", b: "bar", c: "baz" };

function check(cases: readonly Case[]): void {
  test.each(cases)("$title", ({ labels = abc, rules, scheme, expected }) => {
    expect(relabel(labels, rules, scheme)).toEqual(expected);
  });
}

describe("replace", () => {
  check([
    {
      title: "sets the target to the expanded replacement",
      rules: [{ sourceLabels: ["a"], targetLabel: "d", regex: "f(.*)", replacement: "ch${1}-ch${1}" }],
      expected: { ...abc, d: "choo-choo" },
    },
    {
      title: "joins source labels with the separator",
      rules: [{ sourceLabels: ["a", "b"], targetLabel: "d", separator: "/" }],
      expected: { ...abc, d: "foo/bar" },
    },
    {
      title: "keeps an empty separator",
      rules: [{ sourceLabels: ["a", "b"], targetLabel: "d", separator: "" }],
      expected: { ...abc, d: "foobar" },
    },
    {
      title: "reads an absent label as empty",
      rules: [{ sourceLabels: ["a", "x", "b"], targetLabel: "d" }],
      expected: { ...abc, d: "foo;;bar" },
    },
    {
      title: "does nothing without a match",
      rules: [{ sourceLabels: ["a"], targetLabel: "b", regex: "nope", replacement: "x" }],
      expected: abc,
    },
    {
      title: "must match the whole value",
      rules: [{ sourceLabels: ["a"], targetLabel: "b", regex: "fo", replacement: "x" }],
      expected: abc,
    },
    {
      title: "lets every rule see what the one before did",
      rules: [
        { sourceLabels: ["a"], targetLabel: "d", replacement: "${1}1" },
        { sourceLabels: ["d"], targetLabel: "d", replacement: "${1}2" },
      ],
      expected: { ...abc, d: "foo12" },
    },
    {
      title: "deletes the target when the default rule reads an absent label",
      rules: [{ sourceLabels: ["x"], targetLabel: "a" }],
      expected: { b: "bar", c: "baz" },
    },
    {
      title: "deletes the target when the replacement is empty",
      rules: [{ sourceLabels: ["a"], targetLabel: "a", replacement: "" }],
      expected: { b: "bar", c: "baz" },
    },
    {
      title: "sets a constant without source labels",
      rules: [{ targetLabel: "d", replacement: "constant" }],
      expected: { ...abc, d: "constant" },
    },
    {
      title: "deletes a label without source labels and with an empty replacement",
      rules: [{ targetLabel: "a", replacement: "" }],
      expected: { b: "bar", c: "baz" },
    },
    {
      title: "expands the target label",
      rules: [{ sourceLabels: ["a"], targetLabel: "${1}_x", replacement: "v" }],
      expected: { ...abc, foo_x: "v" },
    },
    {
      title: "does nothing when the expanded target is empty",
      rules: [{ sourceLabels: ["a"], targetLabel: "$2", replacement: "v" }],
      expected: abc,
    },
    {
      title: "does nothing when the expanded target is no legacy name",
      labels: { a: "x-y" },
      scheme: "legacy",
      rules: [{ sourceLabels: ["a"], targetLabel: "$1", replacement: "v" }],
      expected: { a: "x-y" },
    },
    {
      title: "accepts any expanded target as UTF-8 name",
      labels: { a: "x-y" },
      rules: [{ sourceLabels: ["a"], targetLabel: "$1", replacement: "v" }],
      expected: { a: "x-y", "x-y": "v" },
    },
    {
      title: "matches the empty value with an empty expression only",
      rules: [
        { sourceLabels: ["x"], targetLabel: "d", regex: "", replacement: "was empty" },
        { sourceLabels: ["a"], targetLabel: "e", regex: "", replacement: "was empty" },
      ],
      expected: { ...abc, d: "was empty" },
    },
    {
      title: "lets the dot match a newline",
      labels: { a: "x\ny" },
      rules: [{ sourceLabels: ["a"], targetLabel: "d", regex: "x.y", replacement: "v" }],
      expected: { a: "x\ny", d: "v" },
    },
    {
      title: "never matches before a trailing newline",
      labels: { a: "x\n" },
      rules: [{ sourceLabels: ["a"], targetLabel: "d", regex: "x", replacement: "v" }],
      expected: { a: "x\n" },
    },
    {
      title: "knows named groups in both spellings",
      rules: [
        { sourceLabels: ["a"], targetLabel: "d", regex: "(?P<x>f)(?<y>oo)", replacement: "$y-${x}" },
        { sourceLabels: ["a"], targetLabel: "e", regex: "(?<x>foo)", replacement: "$x" },
      ],
      expected: { ...abc, d: "oo-f", e: "foo" },
    },
    {
      title: "reads $1x as a group named 1x",
      rules: [{ sourceLabels: ["a"], targetLabel: "b", replacement: "$1x" }],
      expected: { a: "foo", c: "baz" },
    },
    {
      title: "keeps a doubled or malformed dollar sign",
      rules: [{ sourceLabels: ["a"], targetLabel: "b", replacement: "$$1 $ ${ ${1 $-" }],
      expected: { ...abc, b: "$1 $ ${ ${1 $-" },
    },
    {
      title: "expands an unknown group and one that took no part to nothing",
      rules: [{ sourceLabels: ["a"], targetLabel: "d", regex: "(foo)|(bar)", replacement: "[$1$2$9$name$01]" }],
      expected: { ...abc, d: "[foo]" },
    },
    {
      title: "expands $0 to the whole match",
      rules: [{ sourceLabels: ["a"], targetLabel: "d", regex: "f.+", replacement: "<$0>" }],
      expected: { ...abc, d: "<foo>" },
    },
    {
      title: "prefers the first alternative that matches the whole",
      labels: { a: "ab" },
      rules: [{ sourceLabels: ["a"], targetLabel: "d", regex: "(a|ab)(b?)", replacement: "$1,$2" }],
      expected: { a: "ab", d: "a,b" },
    },
    {
      title: "gives the first of two wildcards as much as it can take",
      labels: { a: "x/y/z" },
      rules: [{ sourceLabels: ["a"], targetLabel: "d", regex: "(.*)/(.+)", replacement: "$1|$2" }],
      expected: { a: "x/y/z", d: "x/y|z" },
    },
    {
      title: "understands inline flags and POSIX classes",
      rules: [
        { sourceLabels: ["a"], targetLabel: "d", regex: "(?i)FOO", replacement: "1" },
        { sourceLabels: ["a"], targetLabel: "e", regex: "[[:alpha:]]+", replacement: "1" },
      ],
      expected: { ...abc, d: "1", e: "1" },
    },
    {
      title: "swaps the halves of an address",
      labels: { __address__: "host", port: "99" },
      rules: [
        {
          sourceLabels: ["__address__", "port"],
          targetLabel: "__address__",
          regex: "([^:]+)(?::\\d+)?;(\\d+)",
          replacement: "$1:$2",
        },
      ],
      expected: { __address__: "host:99", port: "99" },
    },
  ]);
});

describe("keep and drop", () => {
  check([
    { title: "keep keeps a match", rules: [{ sourceLabels: ["a"], regex: "foo", action: "keep" }], expected: abc },
    {
      title: "keep drops what does not match whole",
      rules: [{ sourceLabels: ["a"], regex: "fo", action: "keep" }],
      expected: "dropped",
    },
    {
      title: "drop drops a match",
      rules: [{ sourceLabels: ["a"], regex: ".*o.*", action: "drop" }],
      expected: "dropped",
    },
    {
      title: "drop keeps what does not match",
      rules: [{ sourceLabels: ["a"], regex: "f|o", action: "drop" }],
      expected: abc,
    },
    {
      title: "drop with the default expression drops everything",
      rules: [{ sourceLabels: ["x"], action: "drop" }],
      expected: "dropped",
    },
    {
      title: "keep with .+ drops an absent label",
      rules: [{ sourceLabels: ["x"], regex: ".+", action: "keep" }],
      expected: "dropped",
    },
    {
      title: "a drop ends the program",
      rules: [
        { sourceLabels: ["a"], regex: "foo", action: "drop" },
        { targetLabel: "a", replacement: "other" },
        { sourceLabels: ["a"], regex: "other", action: "keep" },
      ],
      expected: "dropped",
    },
    {
      title: "joins what it tests",
      rules: [{ sourceLabels: ["a", "b"], regex: "foo;bar", action: "keep" }],
      expected: abc,
    },
  ]);
});

describe("keepequal and dropequal", () => {
  const equal = { a: "x", b: "x", c: "y" };
  check([
    {
      title: "keepequal keeps equal values",
      labels: equal,
      rules: [{ sourceLabels: ["a"], targetLabel: "b", action: "keepequal" }],
      expected: equal,
    },
    {
      title: "keepequal drops different values",
      labels: equal,
      rules: [{ sourceLabels: ["a"], targetLabel: "c", action: "keepequal" }],
      expected: "dropped",
    },
    {
      title: "dropequal drops equal values",
      labels: equal,
      rules: [{ sourceLabels: ["a"], targetLabel: "b", action: "dropequal" }],
      expected: "dropped",
    },
    {
      title: "dropequal keeps different values",
      labels: equal,
      rules: [{ sourceLabels: ["a"], targetLabel: "c", action: "dropequal" }],
      expected: equal,
    },
    {
      title: "two absent labels are equal",
      labels: equal,
      rules: [{ sourceLabels: ["x"], targetLabel: "y", action: "dropequal" }],
      expected: "dropped",
    },
  ]);
});

describe("lowercase and uppercase", () => {
  const cased = (value: string, action: "lowercase" | "uppercase") =>
    relabel({ a: value }, [{ sourceLabels: ["a"], targetLabel: "t", action }]);
  test.each([
    ["FoO", "foo", "FOO"],
    ["stra\u00dfe", "stra\u00dfe", "STRA\u00dfE"],
    ["\u0130", "i", "\u0130"],
    ["\u039f\u03a3", "\u03bf\u03c3", "\u039f\u03a3"],
    ["\ufb01\u1f80\u1fb3\u1fb6", "\ufb01\u1f80\u1fb3\u1fb6", "\ufb01\u1f88\u1fbc\u1fb6"],
    ["\u{10428}", "\u{10428}", "\u{10400}"],
  ])("map every character of %j for itself", (value, lower, upper) => {
    expect([cased(value, "lowercase"), cased(value, "uppercase")]).toEqual([
      { a: value, t: lower },
      { a: value, t: upper },
    ]);
  });
  check([
    {
      title: "delete the target when the value is empty",
      rules: [{ sourceLabels: ["x"], targetLabel: "a", action: "uppercase" }],
      expected: { b: "bar", c: "baz" },
    },
  ]);
});

describe("hashmod", () => {
  check([
    {
      title: "takes the last eight bytes of the MD5 sum",
      rules: [{ sourceLabels: ["c"], targetLabel: "d", modulus: 1000n, action: "hashmod" }],
      expected: { ...abc, d: "976" },
    },
    {
      title: "joins the source labels",
      labels: { a: "foo\nbar" },
      rules: [{ sourceLabels: ["a"], targetLabel: "b", modulus: 1000n, action: "hashmod" }],
      expected: { a: "foo\nbar", b: "734" },
    },
    {
      title: "is exact up to the largest modulus",
      rules: [{ sourceLabels: ["x"], targetLabel: "d", modulus: 2n ** 64n - 1n, action: "hashmod" }],
      expected: { ...abc, d: BigInt("0xe9800998ecf8427e").toString() },
    },
    {
      title: "writes 0 rather than deleting",
      rules: [{ sourceLabels: ["x"], targetLabel: "d", modulus: 1n, action: "hashmod" }],
      expected: { ...abc, d: "0" },
    },
  ]);
});

describe("labelmap, labeldrop and labelkeep", () => {
  check([
    {
      title: "labelmap copies matching labels and keeps the originals",
      labels: { a: "foo", b1: "bar", b2: "baz" },
      rules: [{ regex: "(b.*)", replacement: "bar_${1}", action: "labelmap" }],
      expected: { a: "foo", b1: "bar", b2: "baz", bar_b1: "bar", bar_b2: "baz" },
    },
    {
      title: "labelmap strips a prefix",
      labels: { __meta_kubernetes_pod_label_app: "web", __meta_x: "y" },
      rules: [{ regex: "__meta_kubernetes_pod_label_(.+)", action: "labelmap" }],
      expected: { __meta_kubernetes_pod_label_app: "web", __meta_x: "y", app: "web" },
    },
    {
      title: "labelmap does not see the labels it makes",
      labels: { a: "1", aa: "2" },
      rules: [{ regex: "(a+)", replacement: "${1}a", action: "labelmap" }],
      expected: { a: "1", aa: "1", aaa: "2" },
    },
    {
      title: "labelmap lets the last label win",
      labels: { a_x: "1", b_x: "2" },
      rules: [{ regex: "._(x)", action: "labelmap" }],
      expected: { a_x: "1", b_x: "2", x: "2" },
    },
    {
      title: "labelmap takes a label that was changed last, as Prometheus walks its builder",
      labels: { a_x: "1", b_x: "2" },
      rules: [
        { targetLabel: "a_x", replacement: "3" },
        { regex: "._(x)", action: "labelmap" },
      ],
      expected: { a_x: "3", b_x: "2", x: "3" },
    },
    {
      title: "labelmap does not check the new name",
      labels: { a: "1" },
      scheme: "legacy",
      rules: [{ regex: "(a)", replacement: "${1}-b", action: "labelmap" }],
      expected: { a: "1", "a-b": "1" },
    },
    {
      title: "labelmap rewrites a part of the name where the expression escapes its anchors",
      labels: { xb: "1" },
      rules: [{ regex: "a)|(b", replacement: "_$1", action: "labelmap" }],
      expected: { xb: "1", x_b: "1" },
    },
    {
      title: "labeldrop removes matching labels, reserved ones too",
      labels: { __address__: "h:1", job: "j", tmp: "1" },
      rules: [{ regex: "__address__|tmp", action: "labeldrop" }],
      expected: { job: "j" },
    },
    {
      title: "labeldrop matches names whole",
      rules: [{ regex: "(a|b)c?", action: "labeldrop" }],
      expected: { c: "baz" },
    },
    {
      title: "labelkeep removes all others",
      rules: [{ regex: "a|c", action: "labelkeep" }],
      expected: { a: "foo", c: "baz" },
    },
    { title: "labelkeep may leave nothing", rules: [{ regex: "x", action: "labelkeep" }], expected: {} },
  ]);
});
