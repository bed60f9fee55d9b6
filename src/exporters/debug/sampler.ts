/** Decides which batches of a second are shown. */

import type { Clock } from "../../component/telemetry.ts";

const secondMs = 1000;

/** Answers true for the first `initial` calls of every second, and from then on for every `thereafter`-th (0: none). */
export function createSampler(clock: Clock, initial: number, thereafter: number): () => boolean {
  let second: number | undefined;
  let calls = 0;
  return () => {
    const now = Math.floor(clock.now() / secondMs);
    if (now !== second) {
      second = now;
      calls = 0;
    }
    calls++;
    return calls <= initial || (thereafter > 0 && (calls - initial) % thereafter === 0);
  };
}
