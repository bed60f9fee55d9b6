/** Targets that JSON and YAML files list, read again whenever they change. */

import { constants, open } from "node:fs/promises";
import { dirname, extname } from "node:path";
import { performance } from "node:perf_hooks";
import { expandGlob, hasWildcards } from "./glob.ts";
import { parseJsonGroups, parseYamlGroups } from "./parse-groups.ts";
import { FaultLog, type Provider, type ProviderContext, pause } from "./provider.ts";
import type { FileSdConfig } from "./sd-config.ts";
import { groupOfAddresses, type TargetGroup, toLabels } from "./target-group.ts";
import { DirectoryWatch } from "./watch-directories.ts";

/** Largest file of targets. */
export const maxTargetFileBytes = 64 * 1024 * 1024;

/** One save causes several events, the first of them while the file is still empty. */
const settleMs = 50;
/** A directory where something always happens may cost this share of the time: one part reading, four parts rest. */
const restFactor = 4;

/**
 * Reads all files, then again after every event in their directories and at least once per interval. A file that cannot
 * be read or is not valid keeps its last good groups; files and groups that disappear are deleted.
 */
export function createFileProvider(config: FileSdConfig): Provider {
  return async (context) => {
    const { signal } = context;
    const files = new TargetFiles(config, context);
    const wake = new Wake();
    const watch = new DirectoryWatch(() => wake.up());
    try {
      while (!signal.aborted) {
        // Watches before it reads, so that no change falls between the two.
        await watch.setDirectories(files.directories);
        wake.reset();
        const startedMs = performance.now();
        const groups = await files.refresh();
        const restMs = (performance.now() - startedMs) * restFactor;
        if (signal.aborted) return;
        context.update(groups);
        await wake.wait(config.refreshIntervalMs, signal);
        await pause(Math.max(settleMs, restMs), signal);
      }
    } finally {
      watch.close();
    }
  };
}

/** A flag to sleep on, which remembers that it was set while nobody slept. */
class Wake {
  #isUp = false;
  #controller: AbortController | undefined;

  up(): void {
    this.#isUp = true;
    this.#controller?.abort();
  }

  reset(): void {
    this.#isUp = false;
  }

  async wait(limitMs: number, signal: AbortSignal): Promise<void> {
    if (this.#isUp || signal.aborted) return;
    const controller = new AbortController();
    const abort = () => controller.abort();
    this.#controller = controller;
    signal.addEventListener("abort", abort);
    await pause(limitMs, controller.signal);
    signal.removeEventListener("abort", abort);
    this.#controller = undefined;
  }
}

class TargetFiles {
  /** The directories whose events matter: wildcards are looked for in the last segment only. */
  readonly directories: ReadonlySet<string>;
  readonly #patterns: readonly string[];
  readonly #context: ProviderContext;
  readonly #faults: FaultLog;
  /** How many groups of each file the manager knows. */
  #groupCounts = new Map<string, number>();

  constructor(config: FileSdConfig, context: ProviderContext) {
    this.#patterns = config.files;
    this.#context = context;
    this.#faults = new FaultLog(context.log);
    this.directories = new Set(config.files.map((file) => dirname(file)).filter((path) => !hasWildcards(path)));
  }

  /** Everything that is known now, deletions included. Never rejects. */
  async refresh(): Promise<TargetGroup[]> {
    const { metrics, config, signal } = this.#context;
    const startedMs = performance.now();
    let groups: TargetGroup[] = [];
    try {
      groups = await this.#readAll(await this.#listPaths());
      this.#faults.clear("");
    } catch (error) {
      if (signal.aborted) return [];
      metrics.refreshFailures?.("file", config);
      this.#report("", "files of targets could not be listed, the old targets stay", error);
    }
    metrics.refreshed?.("file", config, (performance.now() - startedMs) / 1000);
    return groups;
  }

  async #listPaths(): Promise<Set<string>> {
    const paths = new Set<string>();
    for (const pattern of this.#patterns) for (const path of await expandGlob(pattern)) paths.add(path);
    return paths;
  }

  async #readAll(paths: ReadonlySet<string>): Promise<TargetGroup[]> {
    const groups: TargetGroup[] = [];
    const counts = new Map<string, number>();
    for (const path of paths) {
      const read = await this.#readGroups(path);
      counts.set(path, read?.length ?? this.#groupCounts.get(path) ?? 0);
      for (const group of read ?? []) groups.push(group);
    }
    for (const [path, known] of this.#groupCounts) {
      for (let i = counts.get(path) ?? 0; i < known; i++) {
        groups.push(groupOfAddresses(`${path}:${i}`, [], toLabels([])));
      }
    }
    this.#groupCounts = counts;
    this.#faults.keepOnly(paths);
    return groups;
  }

  /** The groups of one file, or undefined when it is not readable or not valid. */
  async #readGroups(path: string): Promise<TargetGroup[] | undefined> {
    try {
      const bytes = await readBounded(path);
      const isJson = extname(path).toLowerCase() === ".json";
      const written = isJson ? parseJsonGroups(bytes) : parseYamlGroups(bytes, path);
      this.#faults.clear(path);
      return written.map(({ addresses, labels }, index) => {
        const withPath = toLabels([...Object.entries(labels), ["__meta_filepath", path]]);
        return groupOfAddresses(`${path}:${index}`, addresses, withPath);
      });
    } catch (error) {
      this.#context.metrics.fileReadErrors?.();
      this.#report(path, "file of targets is not usable, its last good targets stay", error);
      return undefined;
    }
  }

  #report(file: string, message: string, error: unknown): void {
    this.#faults.report(file, message, error, { job: this.#context.config, ...(file === "" ? {} : { file }) });
  }
}

/** Reads a regular file. A pipe or a device could block for ever, hence they are opened without waiting and refused. */
async function readBounded(path: string): Promise<Uint8Array> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new Error("not a regular file");
    if (stats.size > maxTargetFileBytes) throw new Error(`${stats.size} bytes, the limit is ${maxTargetFileBytes}`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}
