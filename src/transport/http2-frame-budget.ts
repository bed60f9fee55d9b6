/** Bounds the frames of the other side that bring nothing: settings, pings, windows, resets, empty data. */

import { expectHttp2, http2Codes } from "./http2-wire.ts";

/** So many at once, a second, and for each request or answer. */
const burst = 2000;
const perSecond = 200;
const perRequest = 20;

export class FrameBudget {
  readonly #most: number;
  #left = burst;
  #refilledMs = performance.now();

  /** At most so many are saved up. */
  constructor(most: number = burst) {
    this.#most = most;
  }

  /** Something has come or gone that has frames of its own: a request, unless told how many. */
  earn(frames: number = perRequest): void {
    this.#left = Math.min(this.#most, this.#left + frames);
  }

  /** Throws Http2Error when there were too many. */
  spend(): void {
    if (--this.#left >= 0) return;
    const nowMs = performance.now();
    this.#left += Math.floor(Math.min(burst, ((nowMs - this.#refilledMs) / 1000) * perSecond));
    this.#refilledMs = nowMs;
    expectHttp2(this.#left >= 0, http2Codes.ENHANCE_YOUR_CALM, "too_many_frames");
  }
}
