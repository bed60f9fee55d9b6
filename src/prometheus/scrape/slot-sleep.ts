/** Lets targets be scraped together that are due at nearly the same moment, with one timer for all of them. */

import { Bag } from "../../model/bag.ts";
import type { ScrapeClock } from "./scrape-environment.ts";

/**
 * Targets that are due within this part of their interval, and 400 ms, are scraped together: a process that wakes up for
 * a single page of 100 lines spends most of its time on bringing code and tables back into the processor's caches. With
 * 1,000 targets a page of 100 lines costs a fifth less when 40 are read at a time instead of ten.
 */
const slotsPerInterval = 25;
const longestSlotMs = 400;

/** The beginning of the slot that an offset within the interval lies in. */
export function slotOf(offsetMs: number, intervalMs: number): number {
  const slotMs = Math.max(1, Math.min(longestSlotMs, Math.floor(intervalMs / slotsPerInterval)));
  return offsetMs - (offsetMs % slotMs);
}

type SlotClock = Pick<ScrapeClock, "now" | "sleep">;

/** Everybody who waits for the same moment. */
class Slot {
  readonly dueMs: number;
  readonly sleepers = new Set<SlotSleeper>();
  readonly cancel = new AbortController();

  constructor(dueMs: number) {
    this.dueMs = dueMs;
  }
}

export class SlotSleep {
  readonly #clock: SlotClock;
  /** Those that somebody waits for: a few at a time. */
  readonly #slots = new Bag<Slot>();

  constructor(clock: SlotClock) {
    this.#clock = clock;
  }

  /** For one who sleeps again and again until the signal aborts. */
  sleeper(signal: AbortSignal): SlotSleeper {
    return new SlotSleeper(this, signal);
  }

  join(dueMs: number, sleeper: SlotSleeper): Slot {
    const slot = this.#slots.find((each) => each.dueMs === dueMs) ?? this.#begin(new Slot(dueMs));
    slot.sleepers.add(sleeper);
    return slot;
  }

  leave(slot: Slot, sleeper: SlotSleeper): void {
    slot.sleepers.delete(sleeper);
    if (slot.sleepers.size > 0) return;
    this.#slots.delete(slot);
    slot.cancel.abort();
  }

  #begin(slot: Slot): Slot {
    this.#slots.add(slot);
    void this.#clock.sleep(slot.dueMs - this.#clock.now(), slot.cancel.signal).then(() => {
      this.#slots.delete(slot);
      for (const sleeper of slot.sleepers) sleeper.wake();
    });
    return slot;
  }
}

export class SlotSleeper {
  readonly #slots: SlotSleep;
  readonly #signal: AbortSignal;
  #slot: Slot | undefined;
  #resolve: (() => void) | undefined;

  constructor(slots: SlotSleep, signal: AbortSignal) {
    this.#slots = slots;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#called(), { once: true });
  }

  /** Resolves at this time of the wall clock, or when the signal aborts. One sleep at a time. */
  until(dueMs: number): Promise<void> {
    if (this.#signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#slot = this.#slots.join(dueMs, this);
    });
  }

  wake(): void {
    this.#slot = undefined;
    this.#resolve?.();
  }

  #called(): void {
    if (this.#slot !== undefined) this.#slots.leave(this.#slot, this);
    this.wake();
  }
}
