/** One request until it is delivered, refused or out of time. */

import { describe, expect, test } from "vitest";
import { createFakeClock } from "../../testing/fake-clock.ts";
import { HttpError } from "../../transport/http-error.ts";
import {
  maxRetryAfterMs,
  type PostAnswer,
  type PostParts,
  postUntilDone,
  type RetryPolicy,
  retryAfterMs,
} from "./post-request.ts";

const policy: RetryPolicy = {
  enabled: true,
  initialMs: 100,
  maxMs: 1000,
  multiplier: 2,
  randomization: 0,
  maxElapsedMs: 0,
  retryOn429: true,
};

type Answer = Partial<PostAnswer> | Error | "hang" | "late";

function createKit(answers: readonly Answer[], parts: Partial<PostParts> = {}, retry: Partial<RetryPolicy> = {}) {
  const clock = createFakeClock();
  const attempts: { at: number; headers: Readonly<Record<string, string>> }[] = [];
  const waits: number[] = [];
  const reasons: string[] = [];
  const stop = new AbortController();
  const outcome = postUntilDone(
    {
      policy: { ...policy, ...retry },
      timeoutMs: 30_000,
      now: clock.now,
      sleep: clock.sleep,
      random: () => 0.5,
      retrying: (reason, waitMs) => {
        reasons.push(reason);
        waits.push(waitMs);
      },
      stillWanted: () => true,
      post: async (_body, headers, timeoutMs, signal) => {
        attempts.push({ at: clock.monotonic(), headers });
        const answer = answers[Math.min(attempts.length, answers.length) - 1] ?? {};
        if (answer instanceof Error) throw answer;
        if (answer === "late") throw new HttpError("TIMEOUT", `POST http://h/: ${timeoutMs}`);
        if (answer === "hang") {
          await new Promise((_, reject) => {
            if (signal.aborted) reject(new Error("aborted"));
            signal.addEventListener("abort", () => reject(new Error("aborted")));
          });
        }
        return { status: 200, retryAfter: undefined, reason: "", ...(answer as Partial<PostAnswer>) };
      },
      ...parts,
    },
    Uint8Array.of(1),
    stop.signal,
  );
  return { clock, attempts, waits, reasons, stop, outcome };
}

describe("outcomes", () => {
  test.each([
    { answers: [{ status: 200 }], kind: "delivered", attempts: 1 },
    { answers: [{ status: 204 }], kind: "delivered", attempts: 1 },
    { answers: [{ status: 500 }, { status: 503 }, { status: 200 }], kind: "delivered", attempts: 3 },
    { answers: [new Error("reset"), { status: 200 }], kind: "delivered", attempts: 2 },
    { answers: [{ status: 429 }, { status: 200 }], kind: "delivered", attempts: 2 },
    { answers: [{ status: 400, reason: "out of order" }], kind: "rejected", attempts: 1 },
    { answers: [{ status: 404 }], kind: "rejected", attempts: 1 },
    { answers: [{ status: 302 }], kind: "rejected", attempts: 1 },
    { answers: [{ status: 500 }, { status: 413 }], kind: "rejected", attempts: 2 },
  ] as const)("$answers: $kind", async ({ answers, kind, attempts }) => {
    const kit = createKit(answers);
    await kit.clock.advance(10_000);
    expect(await kit.outcome).toMatchObject({ kind });
    expect(kit.attempts.length).toBe(attempts);
  });

  test.each([
    { answers: [{ status: 200, isSent: true }], isSent: true },
    { answers: [{ status: 200 }], isSent: false },
    { answers: [new Error("reset"), { status: 200, isSent: true }], isSent: false },
  ] as const)("$answers: the memory of the body is free: $isSent", async ({ answers, isSent }) => {
    const kit = createKit(answers);
    await kit.clock.advance(10_000);
    expect(await kit.outcome).toMatchObject({ kind: "delivered", isSent });
  });

  test("429 is final where the policy says so", async () => {
    const kit = createKit([{ status: 429, reason: "slow down" }], {}, { retryOn429: false });
    expect(await kit.outcome).toEqual({
      kind: "rejected",
      status: 429,
      reason: "server returned HTTP status 429: slow down",
    });
  });

  test("without retries a failed attempt is the last", async () => {
    const kit = createKit([{ status: 503, reason: "busy" }], {}, { enabled: false });
    expect(await kit.outcome).toEqual({ kind: "expired", reason: "server returned HTTP status 503: busy" });
  });

  test("a request that is no longer wanted is dropped before its repeat", async () => {
    const kit = createKit([{ status: 503 }], { stillWanted: () => false });
    await kit.clock.advance(1000);
    expect(await kit.outcome).toEqual({ kind: "expired", reason: "older than sample_age_limit" });
    expect(kit.attempts.length).toBe(1);
  });

  test("repeats say which attempt they are", async () => {
    const kit = createKit([{ status: 500 }, { status: 500 }, {}]);
    await kit.clock.advance(1000);
    expect(kit.attempts.map(({ headers }) => headers["Retry-Attempt"])).toEqual([undefined, "1", "2"]);
  });
});

describe("waits", () => {
  test("grow by the multiplier up to the maximum", async () => {
    const kit = createKit([{ status: 500 }]);
    await kit.clock.advance(5000);
    expect(kit.waits.slice(0, 6)).toEqual([100, 200, 400, 800, 1000, 1000]);
    kit.stop.abort();
    expect(await kit.outcome).toEqual({ kind: "aborted" });
  });

  test.each([
    [0, 50],
    [0.5, 100],
    [1, 150],
  ])("with the random number %d the first of 100 ms is %d ms", async (random, wait) => {
    const kit = createKit([{ status: 500 }], { random: () => random }, { randomization: 0.5 });
    await kit.clock.advance(1);
    expect(kit.waits).toEqual([wait]);
    kit.stop.abort();
    await kit.outcome;
  });

  test("are as long as the server asks, beyond the maximum too, and the backoff goes on from there", async () => {
    const kit = createKit([
      { status: 503, retryAfter: "5" },
      { status: 500 },
      { status: 429, retryAfter: "nonsense" },
      {},
    ]);
    await kit.clock.advance(20_000);
    expect(kit.waits).toEqual([5000, 1000, 1000]);
    expect(kit.attempts.map(({ at }) => at)).toEqual([0, 5000, 6000, 7000]);
  });

  test("that would pass max_elapsed_time are not begun", async () => {
    const kit = createKit([{ status: 500, reason: "no" }], {}, { maxElapsedMs: 750 });
    await kit.clock.advance(5000);
    expect(await kit.outcome).toEqual({ kind: "expired", reason: "server returned HTTP status 500: no" });
    expect(kit.attempts.map(({ at }) => at)).toEqual([0, 100, 300, 700]);
  });
});

describe("time and shutdown", () => {
  test("an attempt that ends at its timeout is repeated", async () => {
    const kit = createKit(["late", {}], { timeoutMs: 2000 });
    await kit.clock.advance(100);
    expect(await kit.outcome).toMatchObject({ kind: "delivered" });
    expect(kit.reasons).toEqual(["no answer within 2000 ms"]);
  });

  test("a shutdown ends an attempt, and a wait", async () => {
    const hanging = createKit(["hang"]);
    await hanging.clock.advance(1);
    hanging.stop.abort();
    expect(await hanging.outcome).toEqual({ kind: "aborted" });
    const waiting = createKit([{ status: 500 }]);
    await waiting.clock.advance(10);
    waiting.stop.abort();
    expect(await waiting.outcome).toEqual({ kind: "aborted" });
  });

  test("an answer that came counts, shutdown or not", async () => {
    const stop = new AbortController();
    const kit = createKit([{ status: 200 }]);
    stop.abort();
    expect(await kit.outcome).toMatchObject({ kind: "delivered" });
  });
});

describe("Retry-After", () => {
  const now = Date.UTC(2026, 0, 1, 12, 0, 0);
  test.each([
    [undefined, 0],
    ["", 0],
    ["0", 0],
    ["120", 120_000],
    [" 7 ", 7000],
    ["300", 300_000],
    ["301", maxRetryAfterMs],
    ["999999999", maxRetryAfterMs],
    ["Fri, 01 Jan 2027 12:00:00 GMT", maxRetryAfterMs],
    ["-5", 0],
    ["1.5", 0],
    ["1e3", 0],
    ["0x10", 0],
    ["99999999999999999999", 0],
    ["Thu, 01 Jan 2026 12:00:30 GMT", 30_000],
    ["Thu, 01 Jan 2026 11:00:00 GMT", 0],
    ["Thu, 99 Jan 2026 12:00:30 GMT", 0],
    ["2026-01-01T12:00:30Z", 0],
    ["soon", 0],
    ["try again in 2099", 0],
    ["5 minutes", 0],
  ])("%j asks for %d ms", (header, wait) => {
    expect(retryAfterMs(header, now)).toBe(wait);
  });
});
