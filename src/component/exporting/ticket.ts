/** One accepted request: settled when the last of its pieces is delivered or dropped. */

export class Ticket {
  readonly items: number;
  readonly bytes: number;
  #open = 1;
  #dropped: Error | undefined;
  readonly #settled: (ticket: Ticket, dropped: Error | undefined) => void;

  /** `settled` is told once; `dropped` says why when something of it was not delivered. */
  constructor(items: number, bytes: number, settled: (ticket: Ticket, dropped: Error | undefined) => void) {
    this.items = items;
    this.bytes = bytes;
    this.#settled = settled;
  }

  /** Another piece is under way. */
  hold(): void {
    this.#open++;
  }

  /** A piece is done; `dropped` says why when it was not delivered. */
  release(dropped?: Error): void {
    this.#dropped ??= dropped;
    if (--this.#open === 0) this.#settled(this, this.#dropped);
  }
}
