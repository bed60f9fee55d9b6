/** Label names and templates of label names as a configuration may write them. */

import { isValidLabelName, type NameScheme } from "../relabel/names.ts";

/** A legacy label name in which groups such as `$1` or `${name}` may stand for parts. */
const LEGACY_TEMPLATE = /^(?:[a-zA-Z_]|\$(?:\{\w+\}|\w))(?:\w|\$(?:\{\w+\}|\w))*$/;

/** What bytes that are no UTF-8 have become when the file was read. */
const REPLACEMENT_CHARACTER = "\ufffd";

/** True for text that was valid UTF-8 in the file. */
export function isValidText(text: string): boolean {
  return text.isWellFormed() && !text.includes(REPLACEMENT_CHARACTER);
}

/** True for a name that a label of a configuration may have. */
export function isConfigLabelName(name: string, scheme: NameScheme): boolean {
  return isValidLabelName(name, scheme) && isValidText(name);
}

/** True for a target label or replacement that can become a label name. */
export function isLabelNameTemplate(template: string, scheme: NameScheme): boolean {
  if (scheme === "utf8") return isConfigLabelName(template, scheme);
  return LEGACY_TEMPLATE.test(template);
}
