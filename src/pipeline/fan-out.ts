/** Hands the same batch to several consumers. */

import { type Consumers, consumeWith, handOn } from "../component/consumer.ts";
import type { AnyBatch } from "../model/any-batch.ts";
import type { ConsumeError } from "../model/errors.ts";
import { combineErrors, isConsumeError, unexpectedError } from "./consume-errors.ts";

/**
 * A consumer that hands every batch to all of `consumers` and answers when all have answered. Nothing is copied: batches
 * are immutable. One branch that fails or hangs keeps no other from its data; the answer is the failures' combined error.
 */
export function fanOut(consumers: readonly Consumers[]): Consumers {
  const [only] = consumers;
  if (only !== undefined && consumers.length === 1) return only;
  return consumeWith(async (batch) => {
    const answers = await Promise.allSettled(consumers.map((consumer) => handOnLater(consumer, batch)));
    const errors = answers.flatMap((answer): ConsumeError[] => {
      if (answer.status === "fulfilled") return [];
      return [isConsumeError(answer.reason) ? answer.reason : unexpectedError("fan-out", answer.reason)];
    });
    if (errors.length > 0) throw combineErrors(errors);
  });
}

/** Makes an error that is thrown at once a rejection. */
async function handOnLater(consumer: Consumers, batch: AnyBatch): Promise<void> {
  await handOn(consumer, batch);
}
