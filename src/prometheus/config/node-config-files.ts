/** The file system as the configuration sees it: paths beside the file, patterns as Go matches them. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";

/** Longest configuration file that is read, in bytes. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;

/** Resolves relative paths against a directory; an empty path stays empty, and an empty directory changes nothing. */
export function pathResolver(baseDir: string): (path: string) => string {
  return (path) => (path === "" || baseDir === "" || isAbsolute(path) ? path : join(baseDir, path));
}

export interface ConfigFiles {
  readonly readFile: (path: string) => string;
  readonly fileExists: (path: string) => boolean;
  /** The existing files that match a pattern with wildcards in its last segment, sorted; none is no error. */
  readonly glob: (pattern: string) => readonly string[];
}

/** The real file system. `readFile` throws what Node throws, and for files above 32 MiB. */
export const nodeConfigFiles: ConfigFiles = {
  readFile(path) {
    const bytes = readFileSync(path);
    if (bytes.length > MAX_FILE_BYTES) throw new Error(`larger than ${MAX_FILE_BYTES} bytes`);
    return bytes.toString("utf8");
  },
  fileExists: existsSync,
  glob(pattern) {
    const slash = pattern.lastIndexOf("/");
    const last = pattern.slice(slash + 1);
    if (!/[*?[]/.test(last)) return existsSync(pattern) ? [pattern] : [];
    const directory = pattern.slice(0, slash + 1);
    const matcher = segmentPattern(last);
    if (!existsSync(directory || ".")) return [];
    const names = readdirSync(directory || ".").filter((name) => matcher.test(name));
    return names.sort((a, b) => (a < b ? -1 : 1)).map((name) => directory + name);
  },
};

/** One path segment with `*`, `?` and `[...]` as an expression; a backslash takes the next character as it is. */
function segmentPattern(segment: string): RegExp {
  const source = segment.replace(/\\(.)|(\*)|(\?)|\[(\^?)([^\]]+)\]|([^\w])/gs, (...found) => {
    const [, taken, star, question, not, set, other] = found as (string | undefined)[];
    if (star !== undefined) return "[^/]*";
    if (question !== undefined) return "[^/]";
    if (set !== undefined) return `[${not ?? ""}${set.replace(/[\\[\]^]/g, "\\$&")}]`;
    return (taken ?? other ?? "").replace(/[^\w]/, "\\$&");
  });
  return new RegExp(`^${source}$`, "s");
}
