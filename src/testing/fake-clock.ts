/** A clock that stands still until a test moves it. */

import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "../component/telemetry.ts";

export interface FakeClock extends Clock {
  /** Moves the time, waking sleepers in order and letting what they cause run before the next. */
  advance(ms: number): Promise<void>;
  /** How many sleepers there are now. */
  readonly sleepers: number;
}

interface Sleeper {
  readonly wakeAt: number;
  wake(): void;
}

/** A clock that starts at `startMs` (milliseconds since 1970). */
export function createFakeClock(startMs = 1_700_000_000_000): FakeClock {
  let elapsed = 0;
  const sleepers = new Set<Sleeper>();

  const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const sleeper = { wakeAt: elapsed + Math.max(0, ms), wake: () => done() };
      const done = () => {
        sleepers.delete(sleeper);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      sleepers.add(sleeper);
      signal?.addEventListener("abort", done);
    });

  const advance = async (ms: number): Promise<void> => {
    const end = elapsed + ms;
    await turn();
    for (;;) {
      const next = earliest(sleepers, end);
      if (next === undefined) break;
      elapsed = Math.max(elapsed, next.wakeAt);
      next.wake();
      await turn();
    }
    elapsed = end;
    await turn();
  };

  return {
    now: () => startMs + elapsed,
    monotonic: () => elapsed,
    sleep,
    advance,
    get sleepers() {
      return sleepers.size;
    },
  };
}

function earliest(sleepers: Iterable<Sleeper>, end: number): Sleeper | undefined {
  let found: Sleeper | undefined;
  for (const sleeper of sleepers) {
    if (sleeper.wakeAt <= end && (found === undefined || sleeper.wakeAt < found.wakeAt)) found = sleeper;
  }
  return found;
}
