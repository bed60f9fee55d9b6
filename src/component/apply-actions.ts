/** Runs attribute actions, with the Collector's semantics. */

import { createHash } from "node:crypto";
import { RE2JS } from "re2js";
import { attributeText } from "../codec/otlp-json/attribute-text.ts";
import { parseGoFloat, parseGoInt } from "../codec/otlp-json/go-numbers.ts";
import type { Attributes, AttributeValue } from "../model/attributes.ts";
import { type ClientInfo, contextValue } from "../model/client-info.ts";
import type { AttributeAction } from "./attribute-actions.ts";
import type { MutableAttributes } from "./editable-attributes.ts";

/** Returns edited attributes, or the same object when the actions changed nothing. */
export type EditAttributes = (attributes: Attributes, client?: ClientInfo) => Attributes;

/** Changes attributes in place. */
export type ChangeAttributes = (attributes: MutableAttributes, client?: ClientInfo) => void;

type Step = ChangeAttributes;

/** Compiles the actions into one function that changes what it is given. */
export function compileChanges(actions: readonly AttributeAction[]): ChangeAttributes {
  const steps = actions.map(compileAction);
  return (attributes, client) => {
    for (const step of steps) step(attributes, client);
  };
}

/** Compiles the actions into one function, which is pure. */
export function compileActions(actions: readonly AttributeAction[]): EditAttributes {
  const change = compileChanges(actions);
  return (attributes, client) => {
    const edited = new Map(attributes);
    change(edited, client);
    return sameEntries(attributes, edited) ? attributes : edited;
  };
}

/** What of the client the actions look at. */
export function contextKeysOf(actions: readonly AttributeAction[]): string[] {
  return [...new Set(actions.map((action) => action.from_context).filter((key) => key !== ""))];
}

function sameEntries(a: Attributes, b: Attributes): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (!b.has(key) || !Object.is(b.get(key), value)) return false;
  return true;
}

function compileAction(action: AttributeAction): Step {
  const { key } = action;
  const regex = action.pattern === "" ? undefined : RE2JS.compile(action.pattern);
  switch (action.action) {
    case "insert":
    case "update":
    case "upsert":
      return compileSet(action);
    case "delete":
      return (attributes) => {
        attributes.delete(key);
        if (regex !== undefined)
          for (const name of [...attributes.keys()]) if (regex.test(name)) attributes.delete(name);
      };
    case "hash":
      return (attributes) => {
        const hash = (name: string, value: AttributeValue) => attributes.set(name, hashValue(value));
        const value = attributes.get(key);
        if (value !== undefined) hash(key, value);
        if (regex !== undefined) for (const [name, found] of [...attributes]) if (regex.test(name)) hash(name, found);
      };
    case "extract":
      return regex === undefined ? () => {} : compileExtract(key, regex);
    case "convert":
      return (attributes) => {
        const value = attributes.get(key);
        if (value !== undefined) attributes.set(key, convertValue(value, action.converted_type));
      };
  }
}

function compileSet(action: AttributeAction): Step {
  const { key, value, default_value: fallback, from_attribute: source, from_context: context } = action;
  const allowed: Readonly<Record<string, (present: boolean) => boolean>> = {
    insert: (present) => !present,
    update: (present) => present,
    upsert: () => true,
  };
  const isAllowed = allowed[action.action] as (present: boolean) => boolean;
  const findValue = (attributes: MutableAttributes, client: ClientInfo | undefined): AttributeValue | undefined => {
    if (value !== undefined) return value;
    if (context !== "") return contextValue(client, context);
    return source === "" ? undefined : attributes.get(source);
  };
  return (attributes, client) => {
    const found = findValue(attributes, client) ?? fallback;
    if (found !== undefined && isAllowed(attributes.has(key))) attributes.set(key, found);
  };
}

function compileExtract(key: string, regex: RE2JS): Step {
  const names = Object.keys(regex.namedGroups());
  return (attributes) => {
    const value = attributes.get(key);
    if (typeof value !== "string") return;
    const matcher = regex.matcher(value);
    if (!matcher.find()) return;
    for (const name of names) attributes.set(name, matcher.group(name) ?? "");
  };
}

/** SHA-256 in hexadecimal of the bytes of a text, a boolean (one byte) or a number (8 bytes, little-endian); else "". */
function hashValue(value: AttributeValue): string {
  const bytes = hashInput(value);
  return bytes === undefined ? "" : createHash("sha256").update(bytes).digest("hex");
}

function hashInput(value: AttributeValue): Uint8Array | undefined {
  if (typeof value === "string") return Buffer.from(value);
  if (typeof value === "boolean") return Uint8Array.of(value ? 1 : 0);
  const bytes = Buffer.alloc(8);
  if (typeof value === "bigint") bytes.writeBigInt64LE(value);
  else if (typeof value === "number") bytes.writeDoubleLE(value);
  else return undefined;
  return bytes;
}

const minInt64 = -(2n ** 63n);

function convertValue(value: AttributeValue, type: AttributeAction["converted_type"]): AttributeValue {
  if (type === "string") return attributeText(value);
  if (type === "int") {
    if (typeof value === "boolean") return value ? 1n : 0n;
    if (typeof value === "number") return truncateToInt64(value);
    return typeof value === "string" ? (parseGoInt(value) ?? value) : value;
  }
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "bigint") return Number(value);
  return typeof value === "string" ? (parseGoFloat(value) ?? value) : value;
}

/** What does not fit becomes the smallest integer, as Go does on the usual machines. */
function truncateToInt64(value: number): bigint {
  const fits = value >= -(2 ** 63) && value < 2 ** 63;
  return fits ? BigInt(Math.trunc(value)) : minInt64;
}
