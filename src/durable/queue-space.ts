/** Whether a disk queue may grow: its own limit, and what the device has left. */

import type { FileLayer } from "./file-layer.ts";
import type { QueueLimits } from "./queue-limits.ts";

export interface QueueSpaceParts {
  readonly files: FileLayer;
  readonly directory: string;
  /** They may change from call to call. */
  readonly limits: () => Pick<QueueLimits, "maxBytes" | "minFreeBytes">;
  readonly now: () => number;
}

/** How often the device is asked for its room, and how long a failed write keeps others away. */
const checkMs = 1000;

export class QueueSpace {
  readonly #parts: QueueSpaceParts;
  #checkedMs = Number.NEGATIVE_INFINITY;
  #fullMs = Number.NEGATIVE_INFINITY;
  #isShort = false;

  constructor(parts: QueueSpaceParts) {
    this.#parts = parts;
  }

  /** Why nothing of this size can be taken beside what is used; undefined when there is room. An empty queue takes all. */
  fullness(bytes: number, used: number): string | undefined {
    const { directory, limits } = this.#parts;
    const { maxBytes } = limits();
    if (!this.#isRecent(this.#checkedMs)) void this.refresh();
    if (used > 0 && used + bytes > maxBytes)
      return `the queue in ${directory} is full (${used} bytes, limit ${maxBytes})`;
    if (this.#isShort) return `the device of ${directory} has too little room left`;
    return this.#isRecent(this.#fullMs) ? `the device of ${directory} is full` : undefined;
  }

  /** A write found no room: it is tried again after a while. */
  wasFull(): void {
    this.#fullMs = this.#parts.now();
  }

  /** A clock that was set back makes nothing recent for longer. */
  #isRecent(ms: number): boolean {
    return Math.abs(this.#parts.now() - ms) < checkMs;
  }

  /** Asks the device. */
  async refresh(): Promise<void> {
    const { files, directory, limits, now } = this.#parts;
    this.#checkedMs = now();
    this.#fullMs = Number.NEGATIVE_INFINITY;
    try {
      this.#isShort = (await files.freeBytes(directory)) < limits().minFreeBytes;
    } catch {
      // Not every file system tells.
      this.#isShort = false;
    }
  }
}
