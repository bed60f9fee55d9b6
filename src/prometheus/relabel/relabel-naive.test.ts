/** The engine with its fast paths against a naive one. */

import { createHash } from "node:crypto";
import fc from "fast-check";
import { RE2JS } from "re2js";
import { describe, expect, test } from "vitest";
import { propertyRuns } from "../../../test/support/property-runs.ts";
import { LabelsBuilder } from "./labels-builder.ts";
import { compileRelabel, type RelabelRule, relabelActions } from "./relabel.ts";

function rule(fields: Partial<RelabelRule>): RelabelRule {
  return {
    sourceLabels: [],
    separator: ";",
    regex: "(.*)",
    modulus: 0n,
    targetLabel: "",
    replacement: "$1",
    action: "replace",
    ...fields,
  };
}

/** The rules again, without any fast path, on a plain Map: what the engine must agree with. */
function naiveRelabel(labels: Map<string, string>, { regex, ...fields }: RelabelRule): boolean {
  const value = fields.sourceLabels.map((name) => labels.get(name) ?? "").join(fields.separator);
  const program = RE2JS.compile(`^(?s:${regex})$`);
  const set = (name: string, text: string) => (text === "" ? labels.delete(name) : labels.set(name, text));
  const expand = (template: string, text: string) => {
    const matcher = program.matcher(text);
    if (!matcher.find()) return undefined;
    return template.replaceAll(
      /\$(\$|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu,
      (_all, dollar: string, braced: string | undefined, bare: string | undefined) => {
        if (dollar === "$") return "$";
        const name = braced ?? bare ?? "";
        if (/^(0|[1-9]\d*)$/.test(name))
          return Number(name) <= program.groupCount() ? (matcher.group(Number(name)) ?? "") : "";
        return name in program.namedGroups() ? (matcher.group(name) ?? "") : "";
      },
    );
  };
  const names = [...labels.keys()];
  switch (fields.action) {
    case "keep":
      return program.matches(value);
    case "drop":
      return !program.matches(value);
    case "keepequal":
      return (labels.get(fields.targetLabel) ?? "") === value;
    case "dropequal":
      return (labels.get(fields.targetLabel) ?? "") !== value;
    case "lowercase":
      set(fields.targetLabel, value.toLowerCase());
      return true;
    case "uppercase":
      set(fields.targetLabel, value.toUpperCase());
      return true;
    case "hashmod": {
      const hex = createHash("md5").update(value).digest("hex").slice(16);
      set(fields.targetLabel, String(BigInt(`0x${hex}`) % fields.modulus));
      return true;
    }
    case "labeldrop":
      for (const name of names) if (program.matches(name)) labels.delete(name);
      return true;
    case "labelkeep":
      for (const name of names) if (!program.matches(name)) labels.delete(name);
      return true;
    case "labelmap":
      for (const [name, text] of [...labels]) {
        const mapped = expand(fields.replacement, name);
        if (mapped !== undefined) set(mapped, text);
      }
      return true;
    case "replace": {
      const target = expand(fields.targetLabel, value);
      if (target !== undefined && target !== "") set(target, expand(fields.replacement, value) ?? "");
      return true;
    }
  }
}

describe("properties", () => {
  const word = fc.string({ unit: fc.constantFrom("a", "b", ".", "\n", "\u{1f600}"), maxLength: 5 });
  const atom = fc.constantFrom("a", "b", "ab", ".", ".*", ".+", "\\.", "\\d", "[ab]", "\n", "\u{1f600}", "|", "");
  const piece = fc.oneof(
    atom,
    fc
      .tuple(fc.constantFrom("(", "(?:", "(?P<n>"), fc.array(atom, { maxLength: 3 }), fc.constantFrom(")", ")?", ")*"))
      .map(([open, inner, close]) => open + inner.join("") + close),
  );
  const regex = fc
    .array(piece, { maxLength: 4 })
    .map((pieces) => pieces.join(""))
    .filter(isValid);
  const name = fc.constantFrom("a", "b", "ab", "ba", "aab", "a.b");
  const template = fc
    .array(fc.constantFrom("a", "b", "$1", "${1}", "$2", "$n", "${n}", "$$", "$0", "$1x"), { maxLength: 3 })
    .map((parts) => parts.join(""));
  const randomRule: fc.Arbitrary<RelabelRule> = fc.record({
    sourceLabels: fc.array(name, { maxLength: 3 }),
    separator: fc.constantFrom(";", "", "a"),
    regex: fc.oneof(fc.constant("(.*)"), regex),
    modulus: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
    targetLabel: fc.oneof(name, template),
    replacement: template,
    action: fc.constantFrom(...relabelActions),
  });

  function isValid(text: string): boolean {
    try {
      RE2JS.compile(`^(?s:${text})$`);
      return true;
    } catch {
      return false;
    }
  }

  test("the engine agrees with the naive one", () => {
    fc.assert(
      fc.property(fc.dictionary(name, word), fc.array(randomRule, { minLength: 1, maxLength: 4 }), (labels, rules) => {
        const builder = new LabelsBuilder(Object.entries(labels));
        const isKept = compileRelabel(rules, "utf8").apply(builder);
        const naive = new Map(Object.entries(labels).filter(([, value]) => value !== ""));
        // The order in which labelmap meets conflicting names is the builder's own, tested by the table.
        fc.pre(!rules.some((one) => one.action === "labelmap") || rules.length === 1);
        expect(isKept).toBe(rules.every((one) => naiveRelabel(naive, one)));
        expect(new Map(builder.entries())).toEqual(naive);
      }),
      { numRuns: propertyRuns(3000) },
    );
  });

  test("an expression alone answers as the plain engine", () => {
    fc.assert(
      fc.property(regex, fc.array(word, { minLength: 1, maxLength: 8 }), (text, values) => {
        for (const value of values) {
          const labels = new Map([["s", value]].filter(([, one]) => one !== "") as [string, string][]);
          const one = rule({ sourceLabels: ["s"], regex: text, targetLabel: "t", replacement: "<$0|$1|$2|$3|$n>" });
          const builder = new LabelsBuilder(labels);
          compileRelabel([one], "utf8").apply(builder);
          naiveRelabel(labels, one);
          expect(builder.get("t")).toBe(labels.get("t") ?? "");
        }
      }),
      { numRuns: propertyRuns(3000) },
    );
  });
});
