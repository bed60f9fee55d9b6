/** Warnings about single requests, at most one in a while. */

import type { Clock, LogFields, Logger } from "../telemetry.ts";

const repeatLogMs = 10_000;

export class LimitedWarning {
  readonly #log: Logger;
  readonly #clock: Clock;
  #lastMs = Number.NEGATIVE_INFINITY;
  #suppressed = 0;

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Logs the warning, unless one was logged just now; then it is counted in the next. */
  warn(message: string, fields: LogFields): void {
    const nowMs = this.#clock.monotonic();
    if (nowMs - this.#lastMs < repeatLogMs) {
      this.#suppressed++;
      return;
    }
    this.#lastMs = nowMs;
    this.#log.warn(message, this.#suppressed === 0 ? fields : { ...fields, suppressed: this.#suppressed });
    this.#suppressed = 0;
  }
}
