/** Waiting with an end. */

/** Resolves `graceMs` after the signal was aborted; never, when it is not. */
export function whenAborted(signal: AbortSignal, graceMs: number): Promise<"aborted"> {
  return new Promise((resolve) => {
    const end = () => void setTimeout(() => resolve("aborted"), graceMs);
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

/** A signal that is aborted after `ms`. Unlike AbortSignal.timeout it keeps the process alive until it is cleared. */
export function deadlineAfter(ms: number): { readonly signal: AbortSignal; clear(): void } {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new Error(`deadline of ${ms} ms passed`)), ms);
  return { signal: controller.signal, clear: () => clearTimeout(timer) };
}
