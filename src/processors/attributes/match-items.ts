/** Which spans and log records an include or exclude section means. */

import { RE2JS } from "re2js";
import { WireReader } from "../../codec/otlp/wire-reader.ts";
import { attributeText } from "../../codec/otlp-json/attribute-text.ts";
import type { ItemView } from "../../component/edit-request.ts";
import type { MutableAttributes } from "../../component/editable-attributes.ts";
import { type AttributeValue, decodeAnyValue } from "../../model/attributes.ts";
import type { Signal } from "../../model/otlp-request.ts";
import { compileTexts, type MatchConfig } from "./match-config.ts";

/** Answers whether an item is meant. */
export type ItemMatch = (attributes: MutableAttributes, item: ItemView) => boolean;

/** Everything that a section says must match; without a section the answer is `otherwise`. */
export function compileItemMatch(match: MatchConfig | undefined, signal: Signal, otherwise: boolean): ItemMatch {
  if (match === undefined) return () => otherwise;
  const tests: ItemMatch[] = [];
  const { match_type: type } = match;
  if (match.services.length > 0) {
    const matches = compileTexts(match.services, type);
    tests.push((_attributes, { resource }) => matches(serviceName(resource.get("service.name"))));
  }
  tests.push(...(signal === "traces" ? spanTests(match) : logTests(match)));
  if (match.attributes.length > 0) {
    const matches = compileProperties(match.attributes, type);
    tests.push((attributes) => matches(attributes));
  }
  if (match.resources.length > 0) {
    const matches = compileProperties(match.resources, type);
    tests.push((_attributes, { resource }) => matches(resource));
  }
  if (match.libraries.length > 0) {
    const libraries = match.libraries.map(({ name, version }) => ({
      name: compileTexts([name], type),
      version: version === undefined ? () => true : compileTexts([version], version === "" ? "strict" : type),
    }));
    tests.push((_attributes, { scope }) => {
      const [name, version] = scope === undefined ? ["", ""] : [textField(scope, 1), textField(scope, 2)];
      return libraries.some((library) => library.name(name) && library.version(version));
    });
  }
  return (attributes, item) => tests.every((test) => test(attributes, item));
}

function serviceName(value: AttributeValue | undefined): string {
  return typeof value === "string" ? value : "<nil-service-name>";
}

const kindTexts = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];

function spanTests({ span_names: names, span_kinds: kinds, match_type: type }: MatchConfig): ItemMatch[] {
  const tests: ItemMatch[] = [];
  if (names.length > 0) {
    const matches = compileTexts(names, type);
    tests.push((_attributes, { message }) => matches(textField(message, 5)));
  }
  if (kinds.length > 0) {
    const matches = compileTexts(kinds, type);
    tests.push((_attributes, { message }) => {
      const text = kindTexts[numberField(message, 6)];
      return text !== undefined && matches(`SPAN_KIND_${text}`);
    });
  }
  return tests;
}

function logTests(match: MatchConfig): ItemMatch[] {
  const { log_bodies: bodies, log_severity_texts: severities, log_severity_number: number, match_type: type } = match;
  const tests: ItemMatch[] = [];
  if (bodies.length > 0) {
    const matches = compileTexts(bodies, type);
    tests.push((_attributes, { message }) => {
      const content = lastField(message, 5);
      const body = content === undefined ? null : decodeAnyValue(content);
      return typeof body === "string" && matches(body);
    });
  }
  if (severities.length > 0) {
    const matches = compileTexts(severities, type);
    tests.push((_attributes, { message }) => matches(textField(message, 3)));
  }
  if (number !== undefined) {
    tests.push((_attributes, { message }) => {
      const severity = numberField(message, 2);
      return severity === 0 ? number.match_undefined : severity >= number.min;
    });
  }
  return tests;
}

/** Whether all of the attributes are there, with these values. */
function compileProperties(
  wanted: MatchConfig["attributes"],
  type: MatchConfig["match_type"],
): (attributes: Pick<MutableAttributes, "get">) => boolean {
  const tests = wanted.map(({ key, value }) => {
    if (value === undefined) return { key, test: () => true };
    if (type !== "regexp") return { key, test: (found: AttributeValue) => isSame(found, value) };
    const regex = RE2JS.compile(String(value));
    return { key, test: (found: AttributeValue) => isPlain(found) && regex.test(attributeText(found)) };
  });
  return (attributes) =>
    tests.every(({ key, test }) => {
      const found = attributes.get(key);
      return found !== undefined && test(found);
    });
}

function isPlain(value: AttributeValue): boolean {
  return ["string", "boolean", "bigint", "number"].includes(typeof value);
}

/** A whole number of the configuration means an int64 or a double. */
function isSame(found: AttributeValue, wanted: string | number | boolean): boolean {
  if (typeof found === "bigint")
    return typeof wanted === "number" && Number.isInteger(wanted) && found === BigInt(wanted);
  return found === wanted;
}

function textField(message: Uint8Array, field: number): string {
  const content = lastField(message, field);
  return content === undefined ? "" : Buffer.from(content).toString("utf8");
}

function lastField(message: Uint8Array, field: number): Uint8Array | undefined {
  const reader = new WireReader(message);
  let content: Uint8Array | undefined;
  while (reader.next()) if (reader.field === field) content = reader.content();
  return content;
}

function numberField(message: Uint8Array, field: number): number {
  const reader = new WireReader(message);
  let value = 0;
  while (reader.next()) if (reader.field === field) value = Number(BigInt.asIntN(32, reader.uint64()));
  return value;
}
