/** Measures how late the event loop comes to what is due; only where it is asked for, since it wakes an idle process. */

import type { HistogramCell, Meter } from "../component/telemetry.ts";

/** The environment variable that asks for it; any text but an empty one does. */
export const eventLoopDelayVariable = "MILLRACE_EVENT_LOOP_DELAY";

const periodMs = 10;
/** After a longer stall, as after a debugger's stop, the rest is not counted. */
const maxStallMs = 60_000;
const buckets = [0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1];

/**
 * Registers the histogram `millrace_event_loop_delay_seconds` and fills it until the returned function is called.
 * `monotonic` gives milliseconds that only ever grow.
 */
export function observeEventLoopDelay(meter: Meter, monotonic: () => number): () => void {
  const cell = meter
    .histogram("millrace_event_loop_delay_seconds", {
      help: "How long an event that is due at any time waits for the event loop.",
      buckets,
    })
    .with({});
  let dueMs = monotonic() + periodMs;
  const timer = setInterval(() => {
    const nowMs = monotonic();
    recordStall(cell, nowMs - dueMs);
    dueMs = nowMs + periodMs;
  }, periodMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** A stall is as many waits as events would have come during it, one each period: a single long one must weigh. */
export function recordStall(cell: HistogramCell, lateMs: number): void {
  let waitMs = Math.min(maxStallMs, Math.max(0, lateMs));
  cell.record(waitMs / 1000);
  for (waitMs -= periodMs; waitMs > 0; waitMs -= periodMs) cell.record(waitMs / 1000);
}
