/** Relabel rules, compiled once and applied to label sets with exactly Prometheus' results. */

import { hash } from "node:crypto";
import { ConfigError, toError } from "../../model/errors.ts";
import type { LabelsBuilder } from "./labels-builder.ts";
import { toSimpleLowerCase, toSimpleUpperCase } from "./letter-case.ts";
import { isValidLabelName, type NameScheme } from "./names.ts";
import { compileRelabelRegex } from "./relabel-regex.ts";
import type { RelabelRule } from "./relabel-rule.ts";

export { type RelabelAction, type RelabelRule, relabelActions } from "./relabel-rule.ts";

/** A list of compiled rules. It keeps no state: one program may serve many builders. */
export interface RelabelProgram {
  /** True when there is no rule, so that `apply` never changes anything. */
  readonly isEmpty: boolean;
  /** Changes the labels by every rule in order. False: dropped, and the labels are then what the rules before left. */
  apply(labels: LabelsBuilder): boolean;
}

type Step = (labels: LabelsBuilder) => boolean;

/** Compiles rules that have been validated. Throws ConfigError when an expression is not valid RE2 or a modulus is 0. */
export function compileRelabel(rules: readonly RelabelRule[], scheme: NameScheme): RelabelProgram {
  const steps = rules.map((rule, index) => {
    try {
      return compileStep(rule, scheme);
    } catch (error) {
      throw new ConfigError([{ path: `[${index}]`, message: toError(error).message }], { cause: error });
    }
  });
  return {
    isEmpty: steps.length === 0,
    apply(labels) {
      for (const step of steps) if (!step(labels)) return false;
      return true;
    },
  };
}

function compileStep(rule: RelabelRule, scheme: NameScheme): Step {
  const source = sourceValue(rule);
  const { targetLabel, modulus } = rule;
  switch (rule.action) {
    case "replace":
      return compileReplace(rule, scheme);
    case "keep":
    case "drop":
      return compileFilter(rule);
    case "keepequal":
      return (labels) => labels.get(targetLabel) === source(labels);
    case "dropequal":
      return (labels) => labels.get(targetLabel) !== source(labels);
    case "lowercase":
      return always((labels) => labels.set(targetLabel, toSimpleLowerCase(source(labels))));
    case "uppercase":
      return always((labels) => labels.set(targetLabel, toSimpleUpperCase(source(labels))));
    case "hashmod":
      if (modulus <= 0n) throw new RangeError("expected a modulus above 0 for hashmod");
      return always((labels) => labels.set(targetLabel, hashModulo(source(labels), modulus)));
    case "labelmap":
      return compileLabelMap(rule);
    case "labeldrop":
    case "labelkeep":
      return compileNameFilter(rule);
  }
}

function always(change: (labels: LabelsBuilder) => void): Step {
  return (labels) => {
    change(labels);
    return true;
  };
}

/** Joins the values of the source labels. */
function sourceValue({ sourceLabels, separator }: RelabelRule): (labels: LabelsBuilder) => string {
  const [first, ...others] = sourceLabels;
  if (first === undefined) return () => "";
  if (others.length === 0) return (labels) => labels.get(first);
  return (labels) => {
    let value = labels.get(first);
    for (const name of others) value += separator + labels.get(name);
    return value;
  };
}

function compileReplace(rule: RelabelRule, scheme: NameScheme): Step {
  const source = sourceValue(rule);
  const regex = compileRelabelRegex(rule.regex);
  const target = regex.template(rule.targetLabel);
  const replacement = regex.template(rule.replacement);
  if (target.isLiteral && !isValidLabelName(rule.targetLabel, scheme)) return () => true;
  if (target.isLiteral && replacement.isLiteral) {
    return always((labels) => {
      if (regex.test(source(labels))) labels.set(rule.targetLabel, rule.replacement);
    });
  }
  return always((labels) => {
    const groups = regex.match(source(labels));
    if (groups === undefined) return;
    const name = target.expand(groups);
    if (target.isLiteral || isValidLabelName(name, scheme)) labels.set(name, replacement.expand(groups));
  });
}

function compileFilter(rule: RelabelRule): Step {
  const source = sourceValue(rule);
  const regex = compileRelabelRegex(rule.regex);
  const keepsMatching = rule.action === "keep";
  return (labels) => regex.test(source(labels)) === keepsMatching;
}

function compileLabelMap(rule: RelabelRule): Step {
  const regex = compileRelabelRegex(rule.regex);
  const replacement = regex.template(rule.replacement);
  return always((labels) => {
    for (const [name, value] of labels.entries()) {
      if (regex.test(name)) labels.set(regex.replace(name, replacement), value);
    }
  });
}

function compileNameFilter(rule: RelabelRule): Step {
  const regex = compileRelabelRegex(rule.regex);
  const dropsMatching = rule.action === "labeldrop";
  return always((labels) => {
    // Deleting the entry at hand is safe while a Map is walked.
    for (const [name] of labels) if (regex.test(name) === dropsMatching) labels.delete(name);
  });
}

/** The last eight bytes of the MD5 sum as a big-endian number, modulo the divisor, in decimal. */
function hashModulo(value: string, modulus: bigint): string {
  const digest = hash("md5", value, "buffer");
  return (digest.readBigUInt64BE(8) % modulus).toString();
}
