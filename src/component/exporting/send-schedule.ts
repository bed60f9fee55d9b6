/** When a sender looks for something to send: behind all that comes in a turn of the event loop, or after a wait. */

import { setImmediate } from "node:timers";
import type { Clock } from "../telemetry.ts";

export class SendSchedule {
  readonly #clock: Clock;
  readonly #stop: AbortSignal;
  readonly #look: () => void;
  #isScheduled = false;
  #wakeAtMs = Number.POSITIVE_INFINITY;

  /** `stop` ends every wait. */
  constructor(clock: Clock, stop: AbortSignal, look: () => void) {
    this.#clock = clock;
    this.#stop = stop;
    this.#look = look;
  }

  /** Has it look when all that came in this turn of the event loop is here. */
  soon(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#look();
    });
  }

  /** Has it look in so long, or sooner. */
  within(ms: number): void {
    const wakeAtMs = this.#clock.monotonic() + ms;
    if (wakeAtMs >= this.#wakeAtMs) return;
    this.#wakeAtMs = wakeAtMs;
    void this.#clock.sleep(Math.ceil(ms), this.#stop).then(() => {
      if (this.#wakeAtMs === wakeAtMs) this.#wakeAtMs = Number.POSITIVE_INFINITY;
      this.soon();
    });
  }
}
