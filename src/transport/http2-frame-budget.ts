/** Bounds the frames of a client that bring nothing: settings, pings, windows, resets, empty data. */

import { expectHttp2, http2Codes } from "./http2-wire.ts";

/** So many at once, a second, and for each request. */
const burst = 2000;
const perSecond = 200;
const perRequest = 20;

export class FrameBudget {
  #left = burst;
  #refilledMs = 0;

  /** A request has come, which has frames of its own. */
  earn(): void {
    this.#left = Math.min(burst, this.#left + perRequest);
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
