/** Reads the source tree for the architecture tests: files and what they import. */

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const repositoryRoot = fileURLToPath(new URL("../../", import.meta.url));

export interface SourceFile {
  /** Path below `src`, with `/`. */
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
  readonly isTest: boolean;
  /** Paths below `src` that it imports, types included, statically or by `import()`. */
  readonly imports: readonly string[];
  /** Those that are loaded with the file itself: neither types only nor by `import()`. */
  readonly staticImports: readonly string[];
}

const fromClause = /^(?:import|export)\s(type\s)?[^"';]*?from\s+"(\.{1,2}\/[^"]+)"/gm;
const bareImport = /^import\s+"(\.{1,2}\/[^"]+)"/gm;
const dynamicImport = /\bimport\("(\.{1,2}\/[^"]+)"\)/g;

export function readSources(): SourceFile[] {
  const root = join(repositoryRoot, "src");
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .sort()
    .map((path) => readSource(root, path));
}

function readSource(root: string, path: string): SourceFile {
  const text = readFileSync(join(root, path), "utf8");
  const target = (specifier: string) => relative(root, join(root, dirname(path), specifier)).replaceAll("\\", "/");
  const withFrom = [...text.matchAll(fromClause)].map(([, type, specifier = ""]) => ({
    path: target(specifier),
    isType: type !== undefined,
  }));
  const bare = [...text.matchAll(bareImport)].map(([, specifier = ""]) => target(specifier));
  const dynamic = [...text.matchAll(dynamicImport)].map(([, specifier = ""]) => target(specifier));
  return {
    path,
    text,
    lines: text.split("\n"),
    isTest: /\.(test|bench)\.ts$/.test(path) || /(^|\/)test-[^/]*\.ts$/.test(path),
    imports: [...withFrom.map((one) => one.path), ...bare, ...dynamic],
    staticImports: [...withFrom.filter((one) => !one.isType).map((one) => one.path), ...bare],
  };
}

/** Groups of files that load one another in a circle. */
export function findCycles(files: readonly SourceFile[]): string[][] {
  const edges = new Map(files.map((file) => [file.path, file.staticImports]));
  const state = new Map<string, "open" | "done">();
  const trail: string[] = [];
  const cycles: string[][] = [];
  const visit = (path: string): void => {
    if (state.get(path) === "done") return;
    if (state.get(path) === "open") {
      cycles.push([...trail.slice(trail.indexOf(path)), path]);
      return;
    }
    state.set(path, "open");
    trail.push(path);
    for (const next of edges.get(path) ?? []) visit(next);
    trail.pop();
    state.set(path, "done");
  };
  for (const path of edges.keys()) visit(path);
  return cycles;
}
