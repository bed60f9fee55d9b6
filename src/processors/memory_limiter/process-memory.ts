/** The memory figures of this process. */

import { totalmem } from "node:os";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { MemorySource } from "./limiter.ts";

/** Resident memory against the limit of the control group, or the machine's memory where there is none. */
export const processMemory: MemorySource = {
  residentBytes: () => process.memoryUsage.rss(),
  totalBytes() {
    const limit = process.constrainedMemory();
    return limit > 0 && limit < totalmem() ? limit : totalmem();
  },
  collectGarbage() {
    // A collection can be asked for only where the flag is set; a context made afterwards has the function.
    setFlagsFromString("--expose-gc");
    const collect: unknown = globalThis.gc ?? runInNewContext("gc");
    if (typeof collect === "function") collect();
  },
};
