/** Sends one remote-write request until it is delivered, refused for good, or out of time. */

import { toError } from "../../model/errors.ts";
import { HttpError } from "../../transport/http-error.ts";

/** What one attempt came to. */
export interface PostAnswer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  /** Up to 1,024 bytes of the body, for messages. */
  readonly reason: string;
  /** Whether nobody reads the memory of the body that was posted any more. */
  readonly isSent?: boolean | undefined;
}

/** Makes one HTTP attempt. Rejects when no answer came, by the time limit or otherwise. */
export type Post = (
  body: Uint8Array,
  headers: Readonly<Record<string, string>>,
  timeoutMs: number,
  signal: AbortSignal,
) => Promise<PostAnswer>;

export interface RetryPolicy {
  readonly initialMs: number;
  readonly maxMs: number;
  readonly multiplier: number;
  /** Share of a wait that is random, 0 to 1. */
  readonly randomization: number;
  /** Time from the first attempt after which the request is dropped; 0 means never. */
  readonly maxElapsedMs: number;
  readonly enabled: boolean;
  readonly retryOn429: boolean;
}

export type PostOutcome =
  | {
      readonly kind: "delivered";
      readonly status: number;
      /** Whether the memory of the body may be used again. */
      readonly isSent?: boolean;
    }
  | { readonly kind: "rejected"; readonly status: number; readonly reason: string }
  | { readonly kind: "expired"; readonly reason: string }
  | { readonly kind: "aborted" };

export interface PostParts {
  readonly post: Post;
  readonly policy: RetryPolicy;
  readonly timeoutMs: number;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
  /** Hears before every wait why the attempt failed. */
  readonly retrying: (reason: string, waitMs: number, attempt: number) => void;
  /** Asked before a repeat: false drops the request as too old. */
  readonly stillWanted: () => boolean;
}

/** `signal` ends attempts and waits. Never throws. */
export async function postUntilDone(parts: PostParts, body: Uint8Array, signal: AbortSignal): Promise<PostOutcome> {
  const { policy, now } = parts;
  const started = now();
  let backoffMs = policy.initialMs;
  for (let attempt = 0; ; attempt++) {
    const headers: Record<string, string> = attempt === 0 ? {} : { "Retry-Attempt": String(attempt) };
    const result = await attemptOnce(parts, body, headers, signal);
    if (signal.aborted && result.reason !== undefined) return { kind: "aborted" };
    if (result.answer !== undefined) {
      const { status, reason, isSent = false } = result.answer;
      // An attempt that failed may have left the body with a connection that is being closed.
      if (status >= 200 && status < 300) return { kind: "delivered", status, isSent: isSent && attempt === 0 };
      const retryable = status >= 500 || (status === 429 && policy.retryOn429);
      if (!retryable) return { kind: "rejected", status, reason: `server returned HTTP status ${status}: ${reason}` };
    }
    const reason = result.reason ?? `server returned HTTP status ${result.answer?.status}: ${result.answer?.reason}`;
    if (!policy.enabled) return { kind: "expired", reason };
    const asked = retryAfterMs(result.answer?.retryAfter, now());
    const jitter = 1 + policy.randomization * (2 * parts.random() - 1);
    const waitMs = asked > 0 ? asked : backoffMs * jitter;
    if (policy.maxElapsedMs > 0 && now() - started + waitMs > policy.maxElapsedMs) return { kind: "expired", reason };
    parts.retrying(reason, waitMs, attempt + 1);
    await parts.sleep(waitMs, signal);
    if (signal.aborted) return { kind: "aborted" };
    if (!parts.stillWanted()) return { kind: "expired", reason: "older than sample_age_limit" };
    backoffMs = Math.min(policy.maxMs, (asked > 0 ? asked : backoffMs) * policy.multiplier);
  }
}

async function attemptOnce(
  parts: PostParts,
  body: Uint8Array,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<{ answer?: PostAnswer; reason?: string }> {
  try {
    return { answer: await parts.post(body, headers, parts.timeoutMs, signal) };
  } catch (caught) {
    const isLate = caught instanceof HttpError && caught.code === "TIMEOUT";
    return { reason: isLate ? `no answer within ${parts.timeoutMs} ms` : toError(caught).message };
  }
}

/** The one format of dates that RFC 9110 lets servers generate. */
const httpDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** Longest wait that a server may ask for: one that is wrong about its clock or its unit holds nothing up for days. */
export const maxRetryAfterMs = 5 * 60_000;

/**
 * Milliseconds that a Retry-After header asks for (RFC 9110 section 10.2.3), seconds or a date, up to
 * `maxRetryAfterMs`; 0 for none or nonsense.
 */
export function retryAfterMs(header: string | undefined, nowMs: number): number {
  return Math.min(maxRetryAfterMs, askedMs(header, nowMs));
}

function askedMs(header: string | undefined, nowMs: number): number {
  if (header === undefined) return 0;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header.trim()) * 1000;
  // Date.parse alone finds dates in many a sentence.
  const date = httpDate.test(header.trim()) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(date) ? 0 : Math.max(0, date - nowMs);
}
