/** Memory for messages, most of which are gone soon: what is young is collected before V8 would collect the whole heap. */

import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What is asked of V8. */
export interface YoungMemory {
  /** Memory outside of the heap that V8 knows of, garbage included. */
  externalBytes(): number;
  /** Collects what is young, which takes a millisecond. */
  collectYoung(): void;
}

/** Looked at when so much was handed out. */
const lookEveryBytes = 4 * 1024 * 1024;
/**
 * More external memory than after the last collection, or at least since then, is mostly garbage. V8 collects the whole heap
 * for some 40 MiB more, though a collection of what is young would free it.
 */
const maxGrowthBytes = 16 * 1024 * 1024;

/** Hands memory out. It is not zeroed, and not part of a pool. */
export class MessageMemory {
  readonly #young: YoungMemory;
  #unseenBytes = 0;
  #leastBytes = Number.POSITIVE_INFINITY;

  constructor(young: YoungMemory) {
    this.#young = young;
  }

  allocate(bytes: number): Buffer {
    this.#unseenBytes += bytes;
    if (this.#unseenBytes >= lookEveryBytes) this.#look();
    return Buffer.allocUnsafeSlow(bytes);
  }

  #look(): void {
    this.#unseenBytes = 0;
    const bytes = this.#young.externalBytes();
    if (bytes - this.#leastBytes < maxGrowthBytes) {
      this.#leastBytes = Math.min(this.#leastBytes, bytes);
      return;
    }
    // What was garbage is freed a little later, by another thread; what is still there then is in use.
    this.#leastBytes = bytes;
    this.#young.collectYoung();
  }
}

let collect: unknown;

const youngMemory: YoungMemory = {
  externalBytes: () => getHeapStatistics().external_memory,
  collectYoung() {
    if (collect === undefined) {
      // A collection can be asked for only where the flag is set; a context made afterwards has the function.
      setFlagsFromString("--expose-gc");
      collect = globalThis.gc ?? runInNewContext("gc");
    }
    if (typeof collect === "function") collect({ type: "minor", execution: "sync" });
  },
};

const memory = new MessageMemory(youngMemory);

/** Memory for a message, not zeroed. */
export function allocateMessage(bytes: number): Buffer {
  return memory.allocate(bytes);
}
