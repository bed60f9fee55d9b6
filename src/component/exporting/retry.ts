/** Sends one request until it is delivered, refused for good, or out of time. */

import { ConsumeError, toError } from "../../model/errors.ts";
import type { Clock } from "../telemetry.ts";
import type { RetryConfig } from "./config.ts";

/** How one request ended. */
export type SendOutcome<A> =
  | { readonly kind: "delivered"; readonly answer: A }
  /** `reason` is `rejected` (for good), `expired` (out of time, or never repeated) or `shutdown`. */
  | { readonly kind: "dropped"; readonly reason: DropReason; readonly error: ConsumeError };

/** Why items were dropped. */
export type DropReason = "rejected" | "expired" | "shutdown" | "partial_success";

export interface RetryParts {
  readonly retry: RetryConfig;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Hears before every wait why the attempt failed. */
  retrying(error: ConsumeError, waitMs: number): void;
}

/** Calls `attempt` until it resolves. `signal` ends attempts and waits. Never rejects. */
export async function sendUntilDone<A>(
  attempt: (signal: AbortSignal) => Promise<A>,
  { retry, clock, random, retrying }: RetryParts,
  signal: AbortSignal,
): Promise<SendOutcome<A>> {
  const startedMs = clock.monotonic();
  let intervalMs = retry.initial_interval;
  for (;;) {
    if (signal.aborted) return { kind: "dropped", reason: "shutdown", error: shutdownError() };
    let error: ConsumeError;
    try {
      return { kind: "delivered", answer: await attempt(signal) };
    } catch (caught) {
      error = toConsumeError(caught);
    }
    if (signal.aborted) return { kind: "dropped", reason: "shutdown", error: shutdownError(error) };
    if (error.permanent) return { kind: "dropped", reason: "rejected", error };
    if (!retry.enabled) return { kind: "dropped", reason: "expired", error };
    const jitter = 1 + retry.randomization_factor * (2 * random() - 1);
    // What the server asks for is a minimum, as in the Collector.
    const waitMs = Math.max(intervalMs * jitter, error.retryAfterMs ?? 0);
    const elapsedMs = clock.monotonic() - startedMs;
    if (retry.max_elapsed_time > 0 && elapsedMs + waitMs > retry.max_elapsed_time) {
      return { kind: "dropped", reason: "expired", error: expiredError(error) };
    }
    retrying(error, waitMs);
    await clock.sleep(waitMs, signal);
    intervalMs = Math.min(retry.max_interval, intervalMs * retry.multiplier);
  }
}

/** An error that no exporter meant would come again with the same data: it is permanent. */
function toConsumeError(caught: unknown): ConsumeError {
  if (caught instanceof ConsumeError) return caught;
  const error = toError(caught);
  return new ConsumeError("CONSUME_REJECTED", `unexpected error: ${error.message}`, { permanent: true, cause: error });
}

function expiredError(error: ConsumeError): ConsumeError {
  return new ConsumeError(error.code, `no more retries left: ${error.message}`, {
    permanent: error.permanent,
    retryAfterMs: error.retryAfterMs,
    cause: error,
  });
}

function shutdownError(error?: ConsumeError): ConsumeError {
  const why = error === undefined ? "" : `: ${error.message}`;
  return new ConsumeError("CONSUME_SHUTDOWN", `shut down before the data was delivered${why}`, { permanent: false });
}
