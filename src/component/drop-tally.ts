/** Says when a line about dropped data is due: the first of a reason at once, then one a minute with what was dropped since. */

import type { Clock } from "./telemetry.ts";

/** A server that refuses everything would fill the log with a line for each request. */
const repeatLogMs = 60_000;

interface Tally {
  loggedMs: number;
  items: number;
}

export class DropTally {
  readonly #clock: Clock;
  readonly #byReason = new Map<string, Tally>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Counts dropped items. The number of items of this reason since its last line, when another is due; else undefined.
   * What is dropped at the end of the process (`shutdown`) is always due.
   */
  add(reason: string, items: number): number | undefined {
    const tally = this.#byReason.get(reason) ?? { loggedMs: Number.NEGATIVE_INFINITY, items: 0 };
    this.#byReason.set(reason, tally);
    tally.items += items;
    const nowMs = this.#clock.monotonic();
    if (reason !== "shutdown" && nowMs - tally.loggedMs < repeatLogMs) return undefined;
    const since = tally.items;
    tally.loggedMs = nowMs;
    tally.items = 0;
    return since;
  }
}
