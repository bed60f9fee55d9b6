/** The configuration of attribute actions, which the attributes and the resource processor share. */

import { RE2JS } from "re2js";
import { z } from "zod";
import { type ConfigNode, nodeAt } from "../codec/yaml/config-node.ts";
import { type KeyFault, keysTogether } from "../codec/yaml/field-types.ts";
import type { AttributeValue } from "../model/attributes.ts";
import type { CompleteContext } from "./define.ts";

const actionNames = ["insert", "update", "upsert", "delete", "hash", "extract", "convert"] as const;
const convertedTypes = ["int", "double", "string"] as const;

const attributeValue = () => z.unknown().transform(plainAttribute).optional();

const actionSchema = z.strictObject({
  key: z
    .string()
    .default("")
    .describe("Attribute to act on. Needed by all actions but delete and hash with a pattern."),
  action: z
    .preprocess((name) => (typeof name === "string" ? name.toLowerCase() : name), z.enum(actionNames))
    .describe(
      "insert sets an attribute that is absent, update one that is present, upsert either; delete and hash (SHA-256, " +
        "hexadecimal) act on the key and on all keys that match the pattern; extract writes the named groups of the " +
        "pattern as attributes; convert changes the type.",
    ),
  value: attributeValue().describe("Value for insert, update and upsert; its type is the type of the YAML value."),
  default_value: attributeValue().describe("Value for insert, update and upsert when their source gives none."),
  from_attribute: z.string().default("").describe("Attribute to take the value from; without it nothing is done."),
  from_context: z
    .string()
    .default("")
    .describe(
      "Property of the client to take the value from: client.address, metadata.<header or gRPC metadata> (where the " +
        "receiver has include_metadata), auth.<attribute>. Several values are joined by semicolons. Without it, as for " +
        "scraped data, nothing is done.",
    ),
  pattern: z
    .string()
    .default("")
    .describe(
      "Regular expression (RE2, not anchored): of attribute names for delete and hash, of the value for extract.",
    ),
  converted_type: z.enum(convertedTypes).optional().describe("Type that convert makes: int, double or string."),
});

/** One action as it is run. */
export type AttributeAction = z.output<typeof actionSchema>;

/** The list of actions. It must not be empty. */
export function attributeActions() {
  return z
    .array(actionSchema.check(keysTogether(checkAction)))
    .min(1, "expected at least one action")
    .describe("Actions on the attributes of every series, run in this order.");
}

/**
 * Second look at actions under `key`: YAML tells 1.0 from 1, which a plain value cannot.
 */
export function completeActions(
  actions: readonly AttributeAction[],
  section: CompleteContext,
  key: string,
): AttributeAction[] {
  return actions.map((action, index) => {
    const typed = { ...action };
    for (const field of ["value", "default_value"] as const) {
      const node = section.node && nodeAt(section.node, [key, index, field]);
      if (node !== undefined) typed[field] = nodeAttribute(node) ?? undefined;
    }
    return typed;
  });
}

type Fault = (field: keyof AttributeAction, message: string) => void;

function checkAction(action: AttributeAction, addFault: KeyFault): void {
  const fault: Fault = (field, message) => addFault([field], message);
  const unused = (...fields: (keyof AttributeAction)[]) => {
    for (const field of fields) if (isSet(action[field])) fault(field, `is not used by the action ${action.action}`);
  };
  const usesPattern = action.action === "delete" || action.action === "hash";
  if (action.key === "" && !(usesPattern && action.pattern !== "")) {
    fault("key", usesPattern ? "required: a key, a pattern or both" : "required");
  }
  switch (action.action) {
    case "insert":
    case "update":
    case "upsert":
      checkSources(action, fault);
      unused("pattern", "converted_type");
      break;
    case "delete":
    case "hash":
      unused("value", "from_attribute", "converted_type");
      checkPattern(action, fault);
      break;
    case "extract":
      unused("value", "from_attribute", "from_context", "converted_type");
      checkPattern(action, fault);
      break;
    case "convert":
      unused("value", "from_attribute", "from_context", "pattern");
      if (action.converted_type === undefined) fault("converted_type", "required by the action convert");
  }
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== "";
}

function checkSources(action: AttributeAction, fault: Fault): void {
  const sources = (["value", "from_attribute", "from_context"] as const).filter((field) => isSource(action, field));
  const [first, second] = sources;
  if (first === undefined && action.default_value === undefined) {
    fault("value", "required: one of value, from_attribute, from_context and default_value");
  }
  if (second !== undefined) fault(second, `only one source of the value is possible, and there is ${first} as well`);
}

function isSource(action: AttributeAction, field: "value" | "from_attribute" | "from_context"): boolean {
  return field === "value" ? action.value !== undefined : action[field] !== "";
}

function checkPattern(action: AttributeAction, fault: Fault): void {
  if (action.pattern === "") {
    if (action.action === "extract") fault("pattern", "required by the action extract");
    return;
  }
  try {
    const regex = RE2JS.compile(action.pattern);
    if (action.action !== "extract") return;
    const named = Object.keys(regex.namedGroups()).length;
    if (regex.groupCount() === 0) fault("pattern", "expected at least one named group, such as (?P<name>.*)");
    else if (named < regex.groupCount()) fault("pattern", "expected a name for every group");
  } catch (caught) {
    fault("pattern", `expected a regular expression: ${caught instanceof Error ? caught.message : String(caught)}`);
  }
}

/** A value as the model has it: whole numbers are integers. */
function plainAttribute(value: unknown): AttributeValue | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === "number") return Number.isInteger(value) ? BigInt.asIntN(64, BigInt(value)) : value;
  if (typeof value === "bigint") return BigInt.asIntN(64, value);
  if (typeof value === "string" || typeof value === "boolean" || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map((item) => plainAttribute(item) ?? null);
  return new Map(Object.entries(value).map(([key, item]) => [key, plainAttribute(item) ?? null]));
}

function nodeAttribute(node: ConfigNode): AttributeValue {
  if (node.kind === "list") return node.items.map(nodeAttribute);
  if (node.kind === "map") return new Map(node.entries.map(({ key, value }) => [key, nodeAttribute(value)]));
  if (typeof node.value === "number" && isFloatText(node.text)) return node.value;
  return plainAttribute(node.value) ?? null;
}

/** Whether YAML reads the number as a float: it has a fraction or an exponent and is not written in another base. */
function isFloatText(text: string): boolean {
  return !/^[-+]?0[xXoObB]/.test(text) && /[.eE]/.test(text);
}
