/** Decodes and checks relabel rules, as Prometheus does when it loads a file. */

import { RE2JS } from "re2js";
import type { ConfigNode } from "../../codec/yaml/config-node.ts";
import { toError } from "../../model/errors.ts";
import type { NameScheme } from "../relabel/names.ts";
import { type RelabelAction, type RelabelRule, relabelActions } from "../relabel/relabel-rule.ts";
import { type ConfigPath, type DecodeContext, fail } from "./decode-context.ts";
import { isConfigLabelName, isLabelNameTemplate } from "./label-names.ts";
import { isNull, SectionReader } from "./section-reader.ts";

const RELABEL_KEYS = [
  "source_labels",
  "separator",
  "regex",
  "modulus",
  "target_label",
  "replacement",
  "action",
] as const;
const DEFAULT_REGEX = "(.*)";
const DEFAULT_REPLACEMENT = "$1";
const DEFAULT_SEPARATOR = ";";

/** A rule that remembers whether its regex was written, which counts in some checks even where it equals the default. */
export interface DecodedRelabelRule extends RelabelRule {
  readonly regexWritten: boolean;
}

/** The rules under one key; a wrong rule is reported and left out. */
export function decodeRelabelRules(section: SectionReader, key: string, scheme: NameScheme): DecodedRelabelRule[] {
  const rules: DecodedRelabelRule[] = [];
  for (const { node, path } of section.items(key)) {
    const rule = decodeRelabelRule(section.context, node, path, scheme);
    if (rule !== undefined) rules.push(rule);
  }
  return rules;
}

function decodeRelabelRule(
  context: DecodeContext,
  node: ConfigNode,
  path: ConfigPath,
  scheme: NameScheme,
): DecodedRelabelRule | undefined {
  if (isNull(node)) {
    fail(context, path, "expected a relabeling rule, found nothing", node.at);
    return undefined;
  }
  const issuesBefore = context.issues.length;
  const section = new SectionReader(context, node, path, RELABEL_KEYS);
  if (node.kind !== "map") return undefined;
  const action = decodeAction(section);
  const rule: DecodedRelabelRule = {
    sourceLabels: section.strings("source_labels"),
    separator: section.string("separator", DEFAULT_SEPARATOR),
    regex: section.string("regex", DEFAULT_REGEX),
    regexWritten: section.has("regex"),
    modulus: section.unsignedBig("modulus"),
    targetLabel: section.string("target_label"),
    replacement: section.string("replacement", DEFAULT_REPLACEMENT),
    action: action ?? "replace",
  };
  checkRegex(section, rule.regex);
  checkSourceLabels(section, rule.sourceLabels);
  // Checks that depend on the action say nothing useful about a rule that is already wrong.
  if (action !== undefined && context.issues.length === issuesBefore) checkAction(section, rule, scheme);
  return context.issues.length === issuesBefore ? rule : undefined;
}

function decodeAction(section: SectionReader): RelabelAction | undefined {
  const text = section.string("action", "replace").toLowerCase();
  const action = relabelActions.find((known) => known === text);
  if (action === undefined) section.failWord("action", relabelActions);
  return action;
}

function checkRegex(section: SectionReader, regex: string): void {
  try {
    RE2JS.compile(`^(?s:${regex})$`);
  } catch (caught) {
    // As it was written, without the anchors.
    const reason = toError(caught).message.replace(`^(?s:${regex})$`, () => regex);
    section.fail("regex", `expected an RE2 regular expression: ${reason}`);
  }
}

function checkSourceLabels(section: SectionReader, names: readonly string[]): void {
  const items = section.items("source_labels");
  for (const [index, name] of names.entries()) {
    const item = items[index];
    // A null item is an absent name, which Prometheus takes for the empty label; a written "" is an error.
    if (item === undefined || item.node.kind !== "scalar" || isNull(item.node)) continue;
    if (!isConfigLabelName(name, "utf8")) fail(section.context, item.path, "expected a label name", item.node.at);
  }
}

const NEEDS_TARGET: readonly RelabelAction[] = [
  "replace",
  "hashmod",
  "lowercase",
  "uppercase",
  "keepequal",
  "dropequal",
];

function checkAction(section: SectionReader, rule: DecodedRelabelRule, scheme: NameScheme): void {
  const { action } = rule;
  if (action === "hashmod" && rule.modulus === 0n) section.fail("modulus", "hashmod needs a modulus other than 0");
  if (NEEDS_TARGET.includes(action)) {
    if (rule.targetLabel === "") section.fail("target_label", `${action} needs a target_label`);
    else checkTargetLabel(section, rule, scheme);
  }
  const replacementIsDefault = rule.replacement === DEFAULT_REPLACEMENT;
  if ((action === "lowercase" || action === "uppercase") && !replacementIsDefault) {
    section.fail("replacement", `${action} takes no replacement`);
  }
  if (action === "labelmap" && !isLabelNameTemplate(rule.replacement, scheme)) {
    section.fail("replacement", "labelmap needs a replacement that gives a label name");
  }
  if (action === "keepequal" || action === "dropequal") {
    refuseOthers(section, rule, ["source_labels", "target_label"]);
  }
  if (action === "labeldrop" || action === "labelkeep") refuseOthers(section, rule, ["regex"]);
}

function checkTargetLabel(section: SectionReader, rule: DecodedRelabelRule, scheme: NameScheme): void {
  const valid =
    rule.action === "replace"
      ? isLabelNameTemplate(rule.targetLabel, scheme)
      : isConfigLabelName(rule.targetLabel, scheme);
  if (!valid)
    section.fail("target_label", `expected a ${scheme === "legacy" ? "legacy " : ""}label name for ${rule.action}`);
}

/** Keys that change nothing because they hold the default are let through; a written `regex` or list never is. */
function refuseOthers(section: SectionReader, rule: DecodedRelabelRule, allowed: readonly string[]): void {
  const changed: Readonly<Record<string, boolean>> = {
    source_labels: section.hasValue("source_labels"),
    separator: rule.separator !== DEFAULT_SEPARATOR,
    regex: rule.regexWritten,
    modulus: rule.modulus !== 0n,
    target_label: rule.targetLabel !== "",
    replacement: rule.replacement !== DEFAULT_REPLACEMENT,
  };
  for (const [key, isChanged] of Object.entries(changed)) {
    if (isChanged && !allowed.includes(key)) section.fail(key, `${rule.action} takes only ${allowed.join(" and ")}`);
  }
}
