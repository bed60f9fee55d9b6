/** A configuration that may be shown: without secrets, and with references in the place of what they stand for. */

import type { ConfigNode } from "../codec/yaml/config-node.ts";

const defaultText = "[REDACTED]";

/** Keys whose values are secrets, or hold them: rather too many than one too few. */
const secretKey =
  /pass(word|wd|phrase)|secret|token|credential|api_?key|private_?key|(^|_)key(_pem|$)|_pem$|authorization|bearer|cookie|headers?$|params$|user_?info|account_?key|connection_?string|sas/i;
/** Keys that only look so: they name files, URLs, or a way to do something. */
const harmlessKey = /_file$|_files$|_url$|^metadata_keys$|^(key|from_attribute|label_name)$/i;

/** A plain value to be printed; `redacted` stands for every secret. */
export function redactedConfig(node: ConfigNode, redacted = defaultText): unknown {
  if (node.expansion !== undefined) return node.expansion.reference;
  switch (node.kind) {
    case "scalar":
      return typeof node.value === "string" ? withoutUserInfo(node.value, redacted) : node.value;
    case "list":
      return node.items.map((item) => redactedConfig(item, redacted));
    case "map":
      return Object.fromEntries(node.entries.map(({ key, value }) => [key, redactedEntry(key, value, redacted)]));
  }
}

function redactedEntry(key: string, value: ConfigNode, redacted: string): unknown {
  if (!secretKey.test(key) || harmlessKey.test(key)) return redactedConfig(value, redacted);
  return allRedacted(value, redacted);
}

/** Keeps names within a secret section, as those of headers, and takes every value away. */
function allRedacted(node: ConfigNode, redacted: string): unknown {
  switch (node.kind) {
    case "scalar":
      return node.value === null || typeof node.value === "boolean" ? node.value : redacted;
    case "list":
      return node.items.map((item) => allRedacted(item, redacted));
    case "map":
      return Object.fromEntries(
        node.entries.map(({ key, value }) => [
          key,
          isFileName(key) ? redactedConfig(value, redacted) : allRedacted(value, redacted),
        ]),
      );
  }
}

function isFileName(key: string): boolean {
  return /_file$/.test(key);
}

/** User and password in a URL, and what its query says. */
function withoutUserInfo(text: string, redacted: string): string {
  return text
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/)[^/@\s]*@/gi, `$1${redacted}@`)
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s?]*\?)\S+/gi, `$1${redacted}`);
}
