/** Waiting for conditions of the world outside, with a deadline. */

const pollMs = 20;

/** What a condition that is not met yet answers. */
export type NotYet = undefined | false | null;

/**
 * Polls until the condition answers something other than undefined, false or null, and returns that.
 * Throws after the deadline with the title and the last error that the condition threw.
 */
export async function waitFor<T>(
  title: string,
  condition: () => T | NotYet | Promise<T | NotYet>,
  deadlineMs = 30_000,
): Promise<T> {
  const end = Date.now() + deadlineMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value !== undefined && value !== false && value !== null) return value;
    } catch (caught) {
      last = caught;
    }
    if (Date.now() > end) throw new Error(`waited ${deadlineMs} ms in vain for ${title}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** Waits for a moment of the wall clock, in milliseconds since 1970. */
export async function waitUntil(timeMs: number): Promise<void> {
  const leftMs = timeMs - Date.now();
  if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs));
}
