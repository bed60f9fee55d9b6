/** Gives the memory of lent requests back after an attempt to send them, where it is certain that nobody reads it any more. */

import type { QueuedRequest } from "./request-lanes.ts";
import type { SendAnswer } from "./send.ts";

/**
 * The answer of an attempt. Only the first attempt gives memory back, and only when it says that all was sent: what an attempt that
 * failed has left in a socket may still be read while the next one is answered.
 */
export async function sendAndGiveBack(
  attempt: () => Promise<SendAnswer>,
  queued: readonly Pick<QueuedRequest, "giveBack">[],
): Promise<SendAnswer> {
  let isSent = false;
  try {
    const answer = await attempt();
    isSent = answer.isSent === true;
    return answer;
  } finally {
    for (const one of queued) {
      const { giveBack } = one;
      one.giveBack = undefined;
      if (isSent) giveBack?.();
    }
  }
}
