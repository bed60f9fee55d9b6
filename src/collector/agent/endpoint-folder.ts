/** The name under which the queue of a `remote_write` entry is on disk: what stays the same as long as its data goes to one place. */

import { createHash } from "node:crypto";
import type { RemoteWriteConfig } from "../../prometheus/config/types.ts";

/** Headers with such names may hold secrets: their values count as little as passwords do. */
const secretName = /auth|cookie|credential|key|pass|secret|session|signature|token/i;

/**
 * Sixteen hexadecimal digits of the URL and of the entry's own name; where it has none, of the headers and user names that
 * lead one URL to different tenants. No secret counts, so that a new password leads to the same queue.
 */
export function endpointFolder(entry: RemoteWriteConfig): string {
  const told = entry.isNamed ? [entry.name] : tellingParts(entry);
  const content = told.length === 0 ? entry.url : JSON.stringify([entry.url, ...told]);
  return createHash("sha256").update(content).digest("hex").slice(0, 16);
}

function tellingParts({ headers, http }: RemoteWriteConfig): readonly (readonly string[])[] {
  const parts: (readonly string[])[] = [];
  const add = (name: string, values: readonly string[]) => {
    parts.push(secretName.test(name) ? ["header", name.toLowerCase()] : ["header", name.toLowerCase(), ...values]);
  };
  for (const [name, value] of Object.entries(headers)) add(name, [value]);
  for (const { name, values } of http.httpHeaders ?? []) add(name, values);
  const { username, usernameFile } = http.basicAuth ?? {};
  if (username) parts.push(["user", username]);
  if (usernameFile) parts.push(["user file", usernameFile]);
  if (http.oauth2 !== undefined) parts.push(["client", http.oauth2.clientId]);
  return parts.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}
