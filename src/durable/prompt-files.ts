/** Files whose small writes are done when the call returns: waking a thread of the pool costs more than such a write. */

import * as fs from "node:fs";
import { dirname } from "node:path";
import { behind, type FileLayer, type OpenFile, openDescriptor, SystemFile, systemFiles } from "./file-layer.ts";

/** Larger writes go to the pool: beside them a thread costs little, and they would hold up everything else. */
const maxPromptBytes = 256 * 1024;
/** A write into the system's memory takes microseconds; one that takes longer met a device that is behind. */
const slowMs = 20;
/** How long everything goes to the pool after that: a device that is behind holds the process up once a minute. */
const restMs = 60_000;

/**
 * Types of file systems, as statfs(2) numbers them, that take a write into memory without asking another machine:
 * ext2 to ext4, XFS, Btrfs, tmpfs, overlayfs, F2FS, ZFS.
 */
const promptTypes: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0xf2f52010, 0x2fc12fc1,
]);

/** Whether writes may be prompt, by how long those before took. */
export class WritePace {
  readonly #now: () => number;
  #promptFromMs = Number.NEGATIVE_INFINITY;

  /** `now` in milliseconds, from any beginning. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** When a write begins that may be prompt; undefined when it has to go to the pool. */
  begin(): number | undefined {
    const nowMs = this.#now();
    return nowMs < this.#promptFromMs ? undefined : nowMs;
  }

  /** A prompt write is over. */
  end(beganMs: number): void {
    const nowMs = this.#now();
    if (nowMs - beganMs > slowMs) this.#promptFromMs = nowMs + restMs;
  }
}

/** Parts that are written in one go are gathered here: cheaper than telling the system of each. Nothing stays in it. */
const gathered = Buffer.allocUnsafeSlow(maxPromptBytes);

class PromptFile extends SystemFile {
  readonly #descriptor: number;
  readonly #pace: WritePace;

  constructor(descriptor: number, pace: WritePace) {
    super(descriptor);
    this.#descriptor = descriptor;
    this.#pace = pace;
  }

  override async write(parts: readonly Uint8Array[], position: number): Promise<void> {
    let bytes = 0;
    for (const part of parts) bytes += part.length;
    const beganMs = bytes > maxPromptBytes ? undefined : this.#pace.begin();
    if (beganMs === undefined) return super.write(parts, position);
    const written = fs.writeSync(this.#descriptor, gather(parts), 0, bytes, position);
    this.#pace.end(beganMs);
    if (written < bytes) await super.write(behind(parts, written), position + written);
  }
}

function gather(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  let at = 0;
  for (const part of parts) {
    gathered.set(part, at);
    at += part.length;
  }
  return gathered;
}

/**
 * Files of the system for a queue that does not sync: small writes are over at once where the directory's file system is
 * local, and as long as its device keeps up. `pace` is for all files together.
 */
export function promptFiles(pace = new WritePace()): FileLayer {
  return {
    ...systemFiles,
    async open(path, mode, permissions): Promise<OpenFile> {
      const descriptor = await openDescriptor(path, mode, permissions);
      const isPrompt = mode !== "read" && (await isLocal(dirname(path)));
      return isPrompt ? new PromptFile(descriptor, pace) : new SystemFile(descriptor);
    },
  };
}

async function isLocal(directory: string): Promise<boolean> {
  try {
    return promptTypes.has((await fs.promises.statfs(directory)).type);
  } catch {
    // Not every file system tells.
    return false;
  }
}
