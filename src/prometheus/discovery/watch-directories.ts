/** Tells when something in a set of directories may have changed. */

import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";

interface Watched {
  readonly watcher: FSWatcher;
  /** Device and inode: a directory that was replaced has the same path but is not watched any more. */
  readonly identity: string;
}

/** Watches directories, not files, because editors and Kubernetes replace files by renaming. */
export class DirectoryWatch {
  readonly #watched = new Map<string, Watched>();
  readonly #onChange: () => void;
  #isClosed = false;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /**
   * Watches these directories and no others. One that does not exist or cannot be watched is passed over, and tried
   * again at the next call. Never rejects.
   */
  async setDirectories(paths: ReadonlySet<string>): Promise<void> {
    for (const path of this.#watched.keys()) if (!paths.has(path)) this.#unwatch(path);
    for (const path of paths) {
      const identity = await identityOf(path);
      if (this.#isClosed) return;
      if (identity === this.#watched.get(path)?.identity && identity !== undefined) continue;
      this.#unwatch(path);
      if (identity !== undefined) this.#watch(path, identity);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const path of [...this.#watched.keys()]) this.#unwatch(path);
  }

  #watch(path: string, identity: string): void {
    try {
      const watcher = watch(path, { persistent: false }, () => this.#onChange());
      watcher.on("error", () => {
        if (this.#watched.get(path)?.watcher === watcher) this.#unwatch(path);
        if (!this.#isClosed) this.#onChange();
      });
      this.#watched.set(path, { watcher, identity });
    } catch {
      // Gone in the meantime, or the system's limit of watches is reached: the refresh interval has to do.
    }
  }

  #unwatch(path: string): void {
    this.#watched.get(path)?.watcher.close();
    this.#watched.delete(path);
  }
}

async function identityOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await stat(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
