/** Remembers since when the process has been ready. */

import type { Clock } from "../../component/telemetry.ts";

/** How often the state is looked at, so that `upSince` is right although nobody has asked yet. */
const lookIntervalMs = 250;

export interface ReadinessNow {
  readonly isReady: boolean;
  /** Milliseconds since 1970; no meaning unless ready. */
  readonly upSinceMs: number;
  readonly uptimeMs: number;
}

export class Readiness {
  readonly #isReady: () => boolean;
  readonly #clock: Clock;
  #since: { readonly wallMs: number; readonly monotonicMs: number } | undefined;

  constructor(isReady: () => boolean, clock: Clock) {
    this.#isReady = isReady;
    this.#clock = clock;
  }

  now(): ReadinessNow {
    if (!this.#isReady()) {
      this.#since = undefined;
      return { isReady: false, upSinceMs: 0, uptimeMs: 0 };
    }
    this.#since ??= { wallMs: this.#clock.now(), monotonicMs: this.#clock.monotonic() };
    const { wallMs, monotonicMs } = this.#since;
    return { isReady: true, upSinceMs: wallMs, uptimeMs: this.#clock.monotonic() - monotonicMs };
  }

  /** Looks now and then until the signal aborts. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.now();
      await this.#clock.sleep(lookIntervalMs, signal);
    }
  }
}
