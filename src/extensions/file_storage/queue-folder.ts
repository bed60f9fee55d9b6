/** The directory of a queue. */

import { createHash } from "node:crypto";

/** File systems take 255 bytes. */
const maxNameBytes = 200;

/** A name that is safe on every file system, another for every queue; the same from version to version. */
export function queueFolder(name: string): string {
  const safe = encodeURIComponent(name).replace(
    /[!'()*~]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  if (safe.length <= maxNameBytes) return safe;
  return `${safe.slice(0, 100)}-${createHash("sha256").update(name).digest("hex").slice(0, 32)}`;
}
