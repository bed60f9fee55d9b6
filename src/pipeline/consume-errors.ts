/** What becomes of errors on the way: unknown ones get a class, and those of several branches become one. */

import { ConsumeError, toError } from "../model/errors.ts";

/** Whether it is a ConsumeError, also one of another copy of Millrace: told by its code, not by its class. */
export function isConsumeError(error: unknown): error is ConsumeError {
  if (!(error instanceof Error) || !("code" in error) || !("permanent" in error)) return false;
  return typeof error.code === "string" && error.code.startsWith("CONSUME_") && typeof error.permanent === "boolean";
}

/** An error that no component meant: the same data would hit the same fault again, so it is permanent. */
export function unexpectedError(component: string, caught: unknown): ConsumeError {
  const error = toError(caught);
  return new ConsumeError("CONSUME_REFUSED", `${component}: unexpected error: ${error.message}`, {
    permanent: true,
    cause: error,
  });
}

/**
 * The answer of a fan-out of which some branches failed. It is permanent only when every failure is: a sender that can try
 * again then does, which doubles the data in the branches that took it. The longest wait that a branch asked for counts, and
 * where every failure left only a part out, the largest part.
 */
export function combineErrors(errors: readonly ConsumeError[]): ConsumeError {
  const [first] = errors;
  if (first === undefined) throw new Error("no errors to combine");
  if (errors.length === 1) return first;
  const leading = errors.find((error) => !error.permanent) ?? first;
  const waits = errors.flatMap((error) => (error.retryAfterMs === undefined ? [] : [error.retryAfterMs]));
  const parts = errors.flatMap(({ rejectedItems }) => rejectedItems ?? []);
  return new ConsumeError(leading.code, errors.map((error) => error.message).join("; "), {
    permanent: leading.permanent,
    retryAfterMs: waits.length === 0 ? undefined : Math.max(...waits),
    rejectedItems: leading.permanent && parts.length === errors.length ? Math.max(...parts) : undefined,
    cause: new AggregateError(errors),
  });
}
