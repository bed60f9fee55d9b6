/** Lets targets be scraped together that are due at nearly the same moment, with one timer for all of them. */

import { AbortWatch } from "../../transport/abort-watch.ts";
import type { ScrapeClock } from "./scrape-environment.ts";

/**
 * Targets that are due within this part of their interval, and 100 ms, are scraped together: a process that wakes up for
 * a single page of 100 lines spends most of its time on bringing code and tables back into the processor's caches.
 */
const slotsPerInterval = 100;
const longestSlotMs = 100;

/** The beginning of the slot that an offset within the interval lies in. */
export function slotOf(offsetMs: number, intervalMs: number): number {
  const slotMs = Math.max(1, Math.min(longestSlotMs, Math.floor(intervalMs / slotsPerInterval)));
  return offsetMs - (offsetMs % slotMs);
}

interface Slot {
  readonly sleepers: Set<Sleeper>;
  readonly cancel: AbortController;
}

export class SlotSleep {
  readonly #clock: Pick<ScrapeClock, "now" | "sleep">;
  readonly #slots = new Map<number, Slot>();
  readonly #aborts = new AbortWatch();

  constructor(clock: Pick<ScrapeClock, "now" | "sleep">) {
    this.#clock = clock;
  }

  /** Resolves at this time of the wall clock, or when the signal aborts; a signal is listened to until it does. */
  until(dueMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const slot = this.#slots.get(dueMs) ?? this.#begin(dueMs);
      const sleeper = new Sleeper(resolve, () => this.#leave(dueMs, slot, sleeper));
      slot.sleepers.add(sleeper);
      this.#aborts.add(signal, sleeper);
      sleeper.forget = () => this.#aborts.delete(signal, sleeper);
    });
  }

  #begin(dueMs: number): Slot {
    const slot = { sleepers: new Set<Sleeper>(), cancel: new AbortController() };
    this.#slots.set(dueMs, slot);
    void this.#clock.sleep(dueMs - this.#clock.now(), slot.cancel.signal).then(() => {
      if (this.#slots.get(dueMs) === slot) this.#slots.delete(dueMs);
      for (const sleeper of slot.sleepers) sleeper.wake();
    });
    return slot;
  }

  #leave(dueMs: number, slot: Slot, sleeper: Sleeper): void {
    slot.sleepers.delete(sleeper);
    if (slot.sleepers.size > 0) return;
    if (this.#slots.get(dueMs) === slot) this.#slots.delete(dueMs);
    slot.cancel.abort();
  }
}

class Sleeper {
  readonly #resolve: () => void;
  readonly #leave: () => void;
  forget: () => void = () => {};

  constructor(resolve: () => void, leave: () => void) {
    this.#resolve = resolve;
    this.#leave = leave;
  }

  wake(): void {
    this.forget();
    this.#resolve();
  }

  onAbort(): void {
    this.#leave();
    this.#resolve();
  }
}
