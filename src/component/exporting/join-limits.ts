/** How far requests are joined, and to what they are cut. */

import type { SplitLimits } from "../../codec/otlp/split-request.ts";
import type { BatchLimits } from "./config.ts";

/** Where requests are joined only because they wait: enough to be sent at once. */
export const enoughBytes = 256 * 1024;
/** Joined requests do not grow above this, so that no server's limit is hit by joining. */
const maxJoinedBytes = 4_000_000;
/** Joined requests that were refused are tried alone, until so many were refused in a row from the first on. */
export const maxRefusedAlone = 3;

/** Of a sender. */
export interface RequestLimits {
  readonly batch: BatchLimits | undefined;
  /** Bytes above which a request is cut; Infinity for no maximum. */
  readonly maxBytes: number;
}

/** Whether requests with so much in all may be sent as one. */
export function hasRoom({ batch, maxBytes }: RequestLimits, items: number, bytes: number): boolean {
  if (bytes > maxBytes) return false;
  if (batch === undefined || batch.maxSize === Number.POSITIVE_INFINITY) return bytes <= maxJoinedBytes;
  return (batch.sizer === "items" ? items : bytes) <= batch.maxSize;
}

/** What a request is cut to. */
export function cutLimits({ batch, maxBytes }: RequestLimits): Required<SplitLimits> {
  return {
    maxItems: batch?.sizer === "items" ? batch.maxSize : Number.POSITIVE_INFINITY,
    maxBytes: Math.min(maxBytes, batch?.sizer === "bytes" ? batch.maxSize : maxBytes),
  };
}
