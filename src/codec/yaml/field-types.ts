/** Schema field types that component configurations share, with the Collector's syntax and plain error messages. */

import { z } from "zod";
import type { ConfigIssue } from "../../model/errors.ts";
import { parseComponentId } from "./component-id.ts";
import type { ConfigNode } from "./config-node.ts";
import { isConfigNode } from "./config-node.ts";
import { formatGoDuration, parseGoDuration } from "./go-duration.ts";
import { Secret } from "./secret.ts";

/** Where the marks of field types are kept: what the decoder does with a schema that zod itself cannot say. */
export const fieldMarks = z.registry<{ readonly mark: "node" | "secret" }>();

export interface DurationOptions {
  /** Accept durations below zero; they are an error otherwise. */
  readonly allowNegative?: boolean;
  /** Smallest duration, in milliseconds. */
  readonly minMs?: number;
  /** Largest duration, in milliseconds. */
  readonly maxMs?: number;
}

const durationExpected = 'expected a duration like "200ms" or "1h30m"';

/** A Go duration such as `1h30m` or `200ms`, decoded to milliseconds with fractions. A bare `0` is valid, no other number. */
export function duration(options: DurationOptions = {}) {
  const { allowNegative = false, minMs, maxMs } = options;
  return z
    .union([z.string(), z.number()], { error: missingOr(durationExpected) })
    .transform((input, context): number => {
      const ms = typeof input === "string" ? parseGoDuration(input) : input === 0 ? 0 : undefined;
      if (ms === undefined) return reject(context, durationExpected);
      if (ms < 0 && !allowNegative) return reject(context, "expected a duration that is not negative");
      if (minMs !== undefined && ms < minMs) return reject(context, `expected at least ${formatGoDuration(minMs)}`);
      if (maxMs !== undefined && ms > maxMs) return reject(context, `expected at most ${formatGoDuration(maxMs)}`);
      return ms;
    });
}

const sizeExpected = 'expected a number of bytes or a size like "20MiB"';
const sizePattern = /^([0-9]+(?:\.[0-9]+)?) ?([KMGT]?)(?:i?B)?$/i;
const sizeFactors: Readonly<Record<string, number>> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** The bytes of a size like `20MiB`; `MB` means the same, as in Prometheus. Undefined when the text is no size. */
export function parseByteSize(text: string): number | undefined {
  const match = sizePattern.exec(text);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * (sizeFactors[(match[2] ?? "").toUpperCase()] ?? Number.NaN);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** A whole number of bytes, or a text such as `20MiB`; decoded to bytes. */
export function byteSize() {
  return z.union([z.string(), z.number()], { error: missingOr(sizeExpected) }).transform((input, context): number => {
    const bytes = typeof input === "string" ? parseByteSize(input) : input;
    if (bytes === undefined || !Number.isSafeInteger(bytes) || bytes < 0) return reject(context, sizeExpected);
    return bytes;
  });
}

/** A number from 0 to 100, or the same as a text with `%`. */
export function percentage() {
  const expected = "expected a percentage from 0 to 100";
  return z.union([z.number(), z.string()], { error: missingOr(expected) }).transform((input, context): number => {
    const number =
      typeof input === "number" ? input : /^[0-9]+(\.[0-9]+)?%$/.test(input) ? Number(input.slice(0, -1)) : -1;
    return number >= 0 && number <= 100 ? number : reject(context, expected);
  });
}

/** A text that is never printed, neither in messages nor in logs; see `Secret`. */
export function secret() {
  return z
    .string({ error: missingOr("must be a text: put quotes around it") })
    .register(fieldMarks, { mark: "secret" })
    .transform((text) => new Secret(text));
}

/** A map from names to texts. */
export function stringMap() {
  return z.record(z.string(), z.string());
}

/** One header of a request. */
export interface HeaderEntry {
  readonly name: string;
  readonly value: Secret;
}

const headerName = z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "expected a header name");

/** Request headers, as a map or as a list of `{name, value}`; values are secrets. Decoded to a list in the order given. */
export function headers() {
  const asMap = z
    .record(headerName, secret())
    .transform((map): HeaderEntry[] => Object.entries(map).map(([name, value]) => ({ name, value })));
  const asList = z.array(z.strictObject({ name: headerName, value: secret() }));
  return z.union([asMap, asList]).transform((entries): readonly HeaderEntry[] => entries);
}

/** The id of another component, such as `file_storage` or `file_storage/queue`, with blanks around its parts removed. */
export function componentIdString() {
  return z.string().transform((text, context): string => {
    const parsed = parseComponentId(text);
    if (parsed.id === undefined) return reject(context, parsed.problem);
    return parsed.id.name === "" ? parsed.id.type : `${parsed.id.type}/${parsed.id.name}`;
  });
}

/** A section of its own that turns something on: absent is off (undefined), empty (`key:`) is on with the defaults. */
export function optionalSection<T>(schema: z.ZodType<T>) {
  return z
    .nullable(schema)
    .transform((value, context): T => {
      if (value !== null) return value;
      const defaults = schema.safeParse({});
      if (defaults.success) return defaults.data;
      for (const issue of defaults.error.issues) {
        // Nothing was given, so whatever has the wrong type is missing.
        const message = issue.code === "invalid_type" || issue.code === "invalid_union" ? "required" : issue.message;
        context.issues.push({ code: "custom", message, input: value, path: issue.path });
      }
      return z.NEVER;
    })
    .optional();
}

/** An `optionalSection` that `enabled: false` turns off as well, whatever else stands in it; `enabled: true` says nothing. */
export function switchedSection<T>(schema: z.ZodType<T>) {
  return z.preprocess(withoutSwitch, optionalSection(schema)).optional();
}

/** A `switchedSection` that an empty key (`key:`) leaves off: one that has no defaults in the Collector. */
export function filledSection<T>(schema: z.ZodType<T>) {
  return z
    .preprocess((section) => (section === null ? undefined : withoutSwitch(section)), optionalSection(schema))
    .optional();
}

/** A section whose `enabled` is no boolean stays as it is: then `enabled` is an unknown key. */
function withoutSwitch(section: unknown): unknown {
  if (typeof section !== "object" || section === null || !("enabled" in section)) return section;
  const { enabled, ...rest } = section;
  if (typeof enabled !== "boolean") return section;
  return enabled ? rest : undefined;
}

/** The configuration tree itself, for a component that reads a section with rules of its own. */
export function rawNode() {
  return z.custom<ConfigNode>(isConfigNode, { error: "required" }).register(fieldMarks, { mark: "node" });
}

/** Hands issues that a component found in a `rawNode` on to the decoder, whose paths and positions they keep. */
export function addConfigIssues(context: z.RefinementCtx, issues: readonly ConfigIssue[]): void {
  if (issues.length > 0) context.addIssue({ code: "custom", message: "invalid", params: { configIssues: issues } });
}

function reject(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: "custom", message });
  return z.NEVER;
}

/** The message of a field type: `required` where the key is missing. */
function missingOr(message: string): (issue: { readonly input?: unknown }) => string {
  return (issue) => (issue.input === undefined ? "required" : message);
}

/** What is wrong with a section: a path within it and what was expected there. */
export type KeyFault = (path: readonly (string | number)[], message: string) => void;

/**
 * Checks of a section's keys together, for `check` of a schema. Unlike `superRefine` they also run where other keys of the
 * section are wrong or unknown, so that all faults are told at once; each ends where it asks for a key that is wrong by itself.
 */
export function keysTogether<T>(...checks: readonly ((config: T, fault: KeyFault) => void)[]): z.core.$ZodCheck<T> {
  const made = z.check<T>((payload) => {
    const { value: config, issues } = payload;
    if (typeof config !== "object" || config === null) return;
    const wrong = new Set(issues.map(({ path }) => path?.[0]));
    const readable = new Proxy(config, {
      get(target, key): unknown {
        if (wrong.has(key)) throw new WrongKey();
        return Reflect.get(target, key);
      },
    });
    const fault: KeyFault = (path, message) => {
      issues.push({ code: "custom", path: [...path], message, input: config, continue: true });
    };
    for (const check of checks) {
      try {
        check(readable, fault);
      } catch (caught) {
        if (!(caught instanceof WrongKey)) throw caught;
      }
    }
  });
  made._zod.def.when = () => true;
  return made;
}

/** Ends a check of keys of which one is wrong by itself. */
class WrongKey extends Error {}
