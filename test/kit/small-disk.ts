/** A file system of a few megabytes in memory, where the test may mount one. */

import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TempFolder } from "./temp.ts";

export interface SmallDisk extends Disposable {
  readonly path: string;
  /** Leaves so many bytes free, or gives all of the rest back. */
  fill(freeBytes: number): void;
  clear(): void;
  /** From now on nothing can be written. */
  makeReadOnly(): void;
}

/** Undefined where mounting is not allowed. */
export function mountSmallDisk(folder: TempFolder, megabytes: number): SmallDisk | undefined {
  const path = folder.file("disk");
  mkdirSync(path);
  const run = (...args: string[]) => spawnSync(args[0] ?? "", args.slice(1), { stdio: "ignore" }).status === 0;
  if (process.platform !== "linux" || !run("mount", "-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", path))
    return undefined;
  const ballast = join(path, "ballast");
  return {
    path,
    fill(freeBytes) {
      const { bavail, bsize } = statfsSync(path);
      writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - freeBytes), 1));
    },
    clear: () => rmSync(ballast, { force: true }),
    makeReadOnly: () => void run("mount", "-o", "remount,ro", path),
    [Symbol.dispose]: () => void run("umount", "-l", path),
  };
}
