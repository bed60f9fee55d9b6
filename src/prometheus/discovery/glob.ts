/** File patterns as Go's `filepath.Glob` reads them: `*`, `?`, `[a-z]` and a backslash that escapes. */

import { lstat, readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Most files that one pattern may name. */
export const maxGlobMatches = 10_000;

type Test = "star" | ((char: string) => boolean);

/** True when a pattern is more than a plain path. */
export function hasWildcards(pattern: string): boolean {
  return /[*?[\\]/.test(pattern);
}

/**
 * The existing paths a pattern names, sorted within each directory. A directory that does not exist has none; any other
 * fault of the file system is thrown, and so is a pattern that is malformed or names more than `maxGlobMatches`.
 */
export async function expandGlob(pattern: string): Promise<string[]> {
  if (!hasWildcards(pattern)) return (await exists(pattern)) ? [pattern] : [];
  const parent = dirname(pattern);
  const tests = compileSegment(basename(pattern));
  const paths: string[] = [];
  for (const directory of hasWildcards(parent) ? await expandGlob(parent) : [parent]) {
    const names = (await listDirectory(directory)).filter((name) => matchSegment(tests, name));
    for (const name of names.sort()) paths.push(join(directory, name));
    if (paths.length > maxGlobMatches) throw new Error(`pattern ${pattern} names more than ${maxGlobMatches} files`);
  }
  return paths;
}

function isAbsence(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isAbsence(error)) return false;
    throw error;
  }
}

async function listDirectory(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isAbsence(error)) return [];
    throw error;
  }
}

function compileSegment(pattern: string): Test[] {
  const chars = [...pattern];
  const tests: Test[] = [];
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i] ?? "";
    if (char === "*") {
      tests.push("star");
    } else if (char === "?") {
      tests.push(() => true);
    } else if (char === "[") {
      const end = chars.indexOf("]", i + 2);
      if (end < 0) throw new Error(`pattern ${pattern} has a bracket that is not closed`);
      tests.push(compileClass(chars.slice(i + 1, end)));
      i = end;
    } else {
      const literal = char === "\\" ? (chars[++i] ?? "") : char;
      tests.push((other) => other === literal);
    }
  }
  return tests;
}

function compileClass(chars: readonly string[]): (char: string) => boolean {
  const isNegated = chars[0] === "^";
  const ranges: [string, string][] = [];
  for (let i = isNegated ? 1 : 0; i < chars.length; i++) {
    const low = chars[i] ?? "";
    const isRange = chars[i + 1] === "-" && chars[i + 2] !== undefined;
    ranges.push([low, isRange ? (chars[i + 2] ?? low) : low]);
    if (isRange) i += 2;
  }
  return (char) => ranges.some(([low, high]) => low <= char && char <= high) !== isNegated;
}

/** Matches in linear space, going back to the last star only, which is enough. */
function matchSegment(tests: readonly Test[], name: string): boolean {
  const chars = [...name];
  let [test, char, star, afterStar] = [0, 0, -1, 0];
  while (char < chars.length) {
    const current = tests[test];
    if (current === "star") {
      star = test++;
      afterStar = char;
    } else if (current?.(chars[char] ?? "") === true) {
      test++;
      char++;
    } else if (star >= 0) {
      test = star + 1;
      char = ++afterStar;
    } else {
      return false;
    }
  }
  while (tests[test] === "star") test++;
  return test === tests.length;
}
