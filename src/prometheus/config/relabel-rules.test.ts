import { describe, expect, it } from "vitest";
import { testDecode, testJob } from "./test-decode.ts";

const inJob = (rule: string, job = ""): string => `scrape_configs: [{job_name: a, ${job} relabel_configs: [${rule}]}]`;

describe("relabel rules", () => {
  it("have the defaults of Prometheus", () => {
    const [rule] = testJob("relabel_configs: [{target_label: b}]").relabelConfigs;
    expect(rule).toEqual({
      sourceLabels: [],
      separator: ";",
      regex: "(.*)",
      regexWritten: false,
      modulus: 0n,
      targetLabel: "b",
      replacement: "$1",
      action: "replace",
    });
  });

  it("keep what is written as nothing as empty", () => {
    const [rule] = testJob(
      "relabel_configs: [{target_label: b, regex: , separator: '', replacement: }]",
    ).relabelConfigs;
    expect(rule).toMatchObject({ regex: "", separator: "", replacement: "" });
  });

  it.each([
    '{action: keep, source_labels: ["a b"]}',
    "{action: Keep}",
    "{action: KEEPEQUAL, target_label: a, source_labels: [b], separator: ;, replacement: $1}",
    "{action: labeldrop, regex: a, separator: ;, modulus: 0}",
    "{action: lowercase, target_label: a, regex: foo, replacement: $1}",
    "{action: hashmod, modulus: 18446744073709551615, target_label: a}",
    '{action: keep, regex: "(?<a>x)\\\\z"}',
    '{action: keep, regex: "(?i)a\\\\Qb\\\\E[[:alpha:]]\\\\pN(?P<n>x)(?U)a+"}',
    '{action: keep, regex: "a)(b"}',
    "{action: keep, regex: 5}",
    '{target_label: "a$b c"}',
    '{action: lowercase, target_label: "${1}"}',
    "{target_label: a, replacement: ''}",
    "{target_label: a, source_labels: }",
    "{target_label: a, source_labels: [~]}",
    '{action: labelmap, regex: "a(.*)"}',
  ])("accepts %s", (rule) => {
    expect(testDecode(inJob(rule)).issues).toEqual([]);
  });

  it.each([
    ["~", "expected a relabeling rule, found nothing"],
    ["foo", "expected a map"],
    ["{}", "replace needs a target_label"],
    ["{action: foo}", "expected one of replace, keep"],
    ["{action: Replase}", 'labelkeep, lowercase, uppercase, found "Replase", did you mean "replace"? (test.yml:'],
    ["{target_label: a, regex: 'a(b'}", "missing closing ): `a(b` (test.yml:"],
    ['{action: ""}', "expected one of"],
    ["{action: ~}", "expected one of"],
    ["{action: hashmod, target_label: a}", "hashmod needs a modulus"],
    ["{action: hashmod, modulus: 5}", "hashmod needs a target_label"],
    ["{action: hashmod, modulus: -1, target_label: a}", "expected a whole number of at least 0"],
    ["{action: uppercase}", "uppercase needs a target_label"],
    ["{action: lowercase, target_label: a, replacement: b}", "lowercase takes no replacement"],
    ["{action: keepequal}", "keepequal needs a target_label"],
    ['{action: keepequal, target_label: a, regex: "(.*)"}', "keepequal takes only source_labels and target_label"],
    ["{action: dropequal, target_label: a, modulus: 3}", "dropequal takes only"],
    ["{action: dropequal, target_label: a, separator: }", "dropequal takes only"],
    ["{action: labeldrop, source_labels: []}", "labeldrop takes only regex"],
    ["{action: labelkeep, target_label: a}", "labelkeep takes only regex"],
    ['{action: labelmap, replacement: ""}', "labelmap needs a replacement"],
    ['{action: keep, regex: "a(b"}', "expected an RE2 regular expression"],
    ['{action: keep, regex: "a{1001}"}', "expected an RE2 regular expression"],
    ['{action: keep, regex: "((a{100}){100}){100}"}', "expected an RE2 regular expression"],
    ['{action: keep, regex: "(?=a)"}', "expected an RE2 regular expression"],
    ['{action: keep, regex: "\\\\C"}', "expected an RE2 regular expression"],
    ["{action: keep, regex: [5]}", "expected a string, found a list"],
    ['{action: keep, source_labels: [""]}', "expected a label name"],
    ["{action: keep, source_labels: a}", "expected a list"],
    ["{action: keep, if: a}", "unknown key"],
  ])("refuses %s", (rule, message) => {
    expect(testDecode(inJob(rule)).issues.join("\n")).toContain(message);
  });

  it.each([
    ['{target_label: "a${b}_$1"}', true],
    ['{target_label: "$1"}', true],
    ['{target_label: "a$1x"}', true],
    ['{target_label: "1$1"}', false],
    ['{target_label: "a$"}', false],
    ['{target_label: "a b"}', false],
    ['{action: lowercase, target_label: "${1}"}', false],
    ['{action: hashmod, modulus: 5, target_label: "${1}"}', false],
    ['{action: labelmap, replacement: "a_$1"}', true],
    ['{action: labelmap, replacement: "${1}${2}"}', true],
    ['{action: labelmap, replacement: "a b"}', false],
    ['{action: keep, source_labels: ["a b"]}', true],
  ])("under the legacy scheme %s is accepted: %s", (rule, accepted) => {
    const { issues } = testDecode(inJob(rule, "metric_name_validation_scheme: legacy,"));
    expect(issues.length === 0).toBe(accepted);
  });

  it("takes no longer for a long hostile template", () => {
    const template = `${"$aaaaaaaa".repeat(5_000)}!`;
    const { issues } = testDecode(inJob(`{target_label: "${template}"}`, "metric_name_validation_scheme: legacy,"));
    expect(issues).toHaveLength(1);
  });
});
