/** Why a sender takes nothing more. */

import { ConsumeError } from "../../model/errors.ts";

export const cutOff = "shut down before the data was delivered";

export function shutdownError(message = "the exporter is shutting down"): ConsumeError {
  return new ConsumeError("CONSUME_SHUTDOWN", message, { permanent: false });
}

/** Why a queue of so many batches and bytes has no room for more bytes, or undefined where it has; an empty one always has. */
export function fullness(
  bounds: { readonly maxQueuedBatches: number; readonly maxQueuedBytes: number },
  batches: number,
  queuedBytes: number,
  bytes: number,
): string | undefined {
  const { maxQueuedBatches, maxQueuedBytes } = bounds;
  if (batches >= maxQueuedBatches) return `the queue is full (${batches} requests, limit ${maxQueuedBatches})`;
  if (queuedBytes === 0 || queuedBytes + bytes <= maxQueuedBytes) return undefined;
  return `the queue is full (${queuedBytes} bytes, limit ${maxQueuedBytes})`;
}
