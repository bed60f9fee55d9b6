/** The product's name and version, read from its package. */

import { readFileSync } from "node:fs";

interface PackageFile {
  readonly version: string;
}

/** `package.json` stands two folders above this file, in the source tree as in the built one. */
export function productVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as PackageFile).version;
}

export function userAgent(): string {
  return `Millrace/${productVersion()}`;
}
