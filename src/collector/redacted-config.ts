/** A configuration that may be shown: without secrets, and with references in the place of what they stand for. */

import type { ConfigNode } from "../codec/yaml/config-node.ts";
import { isCredentialSection, isSecretKey, withoutUrlSecrets } from "../codec/yaml/secret-keys.ts";

const defaultText = "[REDACTED]";

/** A plain value to be printed; `redacted` stands for every secret. */
export function redactedConfig(node: ConfigNode, redacted = defaultText): unknown {
  if (node.expansion !== undefined) return shownReference(node.expansion.reference, redacted);
  switch (node.kind) {
    case "scalar":
      return typeof node.value === "string" ? withoutUrlSecrets(node.value, redacted) : node.value;
    case "list":
      return node.items.map((item) => redactedConfig(item, redacted));
    case "map":
      return Object.fromEntries(node.entries.map(({ key, value }) => [key, redactedEntry(key, value, redacted)]));
  }
}

function redactedEntry(key: string, value: ConfigNode, redacted: string): unknown {
  // A text in the place of a section with credentials is a mistake, and most likely a secret.
  const isMisplaced = isCredentialSection(key) && value.kind !== "map";
  return isSecretKey(key) || isMisplaced ? allRedacted(value, redacted) : redactedConfig(value, redacted);
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

/** A reference as written, without what it holds itself: URLs with passwords, and YAML in the place of a name. */
function shownReference(reference: string, redacted: string): string {
  return withoutUrlSecrets(reference.replace(/\$\{yaml:.*\}/s, `\${yaml:${redacted}}`), redacted);
}
