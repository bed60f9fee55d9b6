/** One accepted request: settled when the last of its pieces is delivered or dropped. */

import { ConsumeError } from "../../model/errors.ts";

export class Ticket {
  readonly items: number;
  readonly bytes: number;
  #open = 1;
  #dropped: Error | undefined;
  /** Items that were refused for good. */
  #rejected = 0;
  readonly #settled: (ticket: Ticket, dropped: Error | undefined) => void;

  /** `settled` is told once; `dropped` says why when something of it was not delivered, and how much when not all of it. */
  constructor(items: number, bytes: number, settled: (ticket: Ticket, dropped: Error | undefined) => void) {
    this.items = items;
    this.bytes = bytes;
    this.#settled = settled;
  }

  /** Another piece is under way. */
  hold(): void {
    this.#open++;
  }

  /** A piece is done; `dropped` says why when `items` of it were not delivered. */
  release(dropped?: Error, items = 0): void {
    if (isPermanent(dropped)) {
      this.#rejected += items;
      this.#dropped ??= dropped;
      // What may be tried again goes before.
    } else if (dropped !== undefined && (this.#dropped === undefined || isPermanent(this.#dropped))) {
      this.#dropped = dropped;
    }
    if (--this.#open === 0) this.#settled(this, this.#outcome());
  }

  #outcome(): Error | undefined {
    const dropped = this.#dropped;
    if (!isPermanent(dropped) || this.#rejected >= this.items) return dropped;
    const options = { permanent: true, rejectedItems: this.#rejected, cause: dropped };
    return new ConsumeError(dropped.code, dropped.message, options);
  }
}

function isPermanent(error: Error | undefined): error is ConsumeError {
  return error instanceof ConsumeError && error.permanent;
}

/**
 * Releases what was delivered at once. Where a server left items out, that is told to the one sender whose data it was; of
 * the items of several it is not known whose were left out, and nobody is told.
 */
export function releaseDelivered(
  delivered: readonly { readonly ticket: Ticket }[],
  { rejectedItems, message }: { readonly rejectedItems: number; readonly message?: string | undefined },
): void {
  const [first] = delivered;
  let error: ConsumeError | undefined;
  if (rejectedItems > 0 && delivered.every(({ ticket }) => ticket === first?.ticket)) {
    error = new ConsumeError("CONSUME_REJECTED", message || "the server did not take all", { permanent: true });
  }
  for (const { ticket } of delivered) {
    ticket.release(error, rejectedItems);
    error = undefined;
  }
}
