/** Collects data of one signal, cuts them into batches, hands these on one after another, and answers the senders. */

import type { Clock, HistogramCell, MetricCell } from "../../component/telemetry.ts";
import { type AnyBatch, countItems } from "../../model/any-batch.ts";
import type { ClientInfo } from "../../model/client-info.ts";
import { ConsumeError, toError } from "../../model/errors.ts";
import type { Signal } from "../../model/otlp-request.ts";
import { itemsOf, joinPieces, type Piece, piecesOf, splitPiece } from "./pieces.ts";

export interface BatchLimits {
  /** 0: hand on at once. */
  readonly timeoutMs: number;
  /** Rows from which on a batch is handed on. 0: at once. */
  readonly minRows: number;
  /** Rows of the largest batch; Infinity for no maximum. */
  readonly maxRows: number;
}

export interface BatchMetrics {
  readonly size: HistogramCell;
  readonly sizeTriggers: MetricCell;
  readonly timeoutTriggers: MetricCell;
}

/** A sender whose data is here, perhaps in several pieces. */
interface Sender {
  /** Pieces that were neither taken nor refused yet. */
  pieces: number;
  readonly items: number;
  /** Items that were refused for good. */
  rejected: number;
  error: Error | undefined;
  resolve(): void;
  reject(error: Error): void;
}

interface Waiting {
  readonly piece: Piece;
  readonly sender: Sender;
}

/** Where batches go. */
export type HandOn = (batch: AnyBatch) => Promise<void>;

/**
 * Batches are handed on one at a time, so that the next component sees the rows of a series in the order in which they
 * came. What waits is bounded by the senders: each of them waits for its answer.
 */
export class Batcher {
  readonly #limits: BatchLimits;
  readonly #clock: Clock;
  readonly #metrics: BatchMetrics;
  readonly #signal: Signal;
  readonly #client: ClientInfo | undefined;
  #waiting: Waiting[] = [];
  #rows = 0;
  /** When the first of the data that is not due yet came, on the monotonic clock. */
  #firstAt = 0;
  #next: HandOn | undefined;
  /** Rows at the front that are due, for the timer or the end; the rest waits for its own trigger. */
  #dueRows = 0;
  #sending: Promise<void> | undefined;
  #inFlight: readonly Waiting[] = [];
  #closed = false;
  #wakeTimer: () => void = () => {};

  /** `client` is what the senders have in common; its batches carry it. */
  constructor(
    { signal, client }: { readonly signal: Signal; readonly client?: ClientInfo | undefined },
    limits: BatchLimits,
    clock: Clock,
    metrics: BatchMetrics,
  ) {
    this.#signal = signal;
    this.#client = client;
    this.#limits = limits;
    this.#clock = clock;
    this.#metrics = metrics;
  }

  /**
   * Resolves when all of the batch was taken by `next`; rejects with its error, once nothing of it is under way. Where a part
   * was refused for good and the rest taken, the error says how much.
   */
  add(batch: AnyBatch, next: HandOn): Promise<void> {
    if (this.#closed) return Promise.reject(closedError());
    const pieces = piecesOf(batch, this.#limits.maxRows);
    if (pieces.length === 0) return Promise.resolve();
    this.#next = next;
    if (this.#rows === this.#dueRows) this.#firstAt = this.#clock.monotonic();
    const items = countItems(batch);
    const answer = new Promise<void>((resolve, reject) => {
      const sender = { pieces: pieces.length, items, rejected: 0, error: undefined, resolve, reject };
      for (const piece of pieces) this.#waiting.push({ piece, sender });
    });
    this.#rows += items;
    if (this.#limits.timeoutMs === 0) this.#dueRows = this.#rows;
    this.#send();
    this.#wakeTimer();
    return answer;
  }

  /** Hands on what has waited for the timeout, until the signal aborts. */
  async runTimer(signal: AbortSignal): Promise<void> {
    const { timeoutMs } = this.#limits;
    if (timeoutMs === 0) return;
    while (!signal.aborted) {
      if (this.#rows === this.#dueRows) await this.#dataComes(signal);
      const waitMs = this.#firstAt + timeoutMs - this.#clock.monotonic();
      if (waitMs > 0) await this.#clock.sleep(waitMs, signal);
      const isDue = this.#clock.monotonic() >= this.#firstAt + timeoutMs;
      if (signal.aborted || !isDue || this.#rows === this.#dueRows) continue;
      this.#metrics.timeoutTriggers.add(1);
      this.#dueRows = this.#rows;
      this.#send();
    }
  }

  /**
   * Hands on everything; what was not taken when the deadline aborts is refused to its senders, retryably. What was
   * under way at that moment may have been taken all the same.
   */
  async shutdown(deadline: AbortSignal): Promise<void> {
    this.#closed = true;
    this.#dueRows = this.#rows;
    this.#send();
    if (this.#sending === undefined) return;
    const aborted = Promise.withResolvers<void>();
    const onAbort = () => aborted.resolve();
    if (deadline.aborted) onAbort();
    else deadline.addEventListener("abort", onAbort, { once: true });
    await Promise.race([this.#sending, aborted.promise]);
    deadline.removeEventListener("abort", onAbort);
    for (const { sender } of [...this.#inFlight, ...this.#waiting]) sender.reject(closedError());
    this.#waiting = [];
    this.#rows = 0;
    this.#dueRows = 0;
  }

  #dataComes(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        signal.removeEventListener("abort", done);
        this.#wakeTimer = () => {};
        resolve();
      };
      signal.addEventListener("abort", done);
      this.#wakeTimer = done;
      if (signal.aborted) done();
    });
  }

  /** Starts handing on, unless that is under way: it goes on as long as something is due. */
  #send(): void {
    if (this.#sending !== undefined || !this.#isDue()) return;
    this.#sending = this.#sendAll().finally(() => {
      this.#sending = undefined;
      this.#send();
    });
  }

  #isDue(): boolean {
    return this.#rows > 0 && (this.#dueRows > 0 || this.#rows >= this.#limits.minRows);
  }

  async #sendAll(): Promise<void> {
    while (this.#isDue()) {
      if (this.#dueRows === 0 || this.#limits.timeoutMs === 0) this.#metrics.sizeTriggers.add(1);
      await this.#sendOne(this.#take());
    }
  }

  async #sendOne(pieces: readonly Waiting[]): Promise<void> {
    const batch = joinPieces(
      this.#signal,
      pieces.map(({ piece }) => piece),
      this.#client,
    );
    this.#metrics.size.record(countItems(batch));
    this.#inFlight = pieces;
    let error: Error | undefined;
    try {
      await this.#next?.(batch);
    } catch (caught) {
      error = toError(caught);
    }
    this.#inFlight = [];
    settle(pieces, error);
  }

  /** Takes the front of what waits, at most `maxRows` rows unless a single family is larger. */
  #take(): Waiting[] {
    const { maxRows } = this.#limits;
    const taken: Waiting[] = [];
    let rows = 0;
    let used = 0;
    for (const { piece, sender } of this.#waiting) {
      const size = itemsOf(piece);
      const room = maxRows - rows;
      const [head, tail] = size <= room ? [piece, undefined] : splitPiece(piece, room, rows === 0);
      if (head !== undefined) {
        taken.push({ piece: head, sender });
        rows += itemsOf(head);
        if (tail !== undefined) sender.pieces++;
      }
      if (tail === undefined) used++;
      else {
        this.#waiting[used] = { piece: tail, sender };
        break;
      }
    }
    this.#waiting.splice(0, used);
    this.#rows -= rows;
    this.#dueRows = Math.max(0, this.#dueRows - rows);
    return taken;
  }
}

/** Tells the senders what became of these pieces, which went together. */
function settle(pieces: readonly Waiting[], error: Error | undefined): void {
  const [first] = pieces;
  if (!(error instanceof ConsumeError) || error.rejectedItems === undefined) {
    for (const { piece, sender } of pieces) settleOne(sender, itemsOf(piece), error);
    return;
  }
  // Of several senders' data it is not known whose was left out: it was counted where that happened.
  const isOfOne = pieces.every(({ sender }) => sender === first?.sender);
  let left = isOfOne ? error.rejectedItems : 0;
  for (const { sender } of pieces) {
    settleOne(sender, left, left > 0 ? error : undefined);
    left = 0;
  }
}

/** `rejected` of its items are not taken where there is an error, for good when that is permanent. */
function settleOne(sender: Sender, rejected: number, error: Error | undefined): void {
  if (isPermanent(error)) {
    sender.rejected += rejected;
    sender.error ??= error;
    // What may be tried again goes before: the sender still has all of it.
  } else if (error !== undefined && (sender.error === undefined || isPermanent(sender.error))) sender.error = error;
  if (--sender.pieces > 0) return;
  const { error: first } = sender;
  if (first === undefined) sender.resolve();
  else if (!isPermanent(first) || sender.rejected >= sender.items) sender.reject(first);
  else {
    const options = { permanent: true, rejectedItems: sender.rejected, cause: first };
    sender.reject(new ConsumeError("CONSUME_REJECTED", first.message, options));
  }
}

function isPermanent(error: Error | undefined): error is ConsumeError {
  return error instanceof ConsumeError && error.permanent;
}

function closedError(): ConsumeError {
  return new ConsumeError("CONSUME_SHUTDOWN", "the batch processor is shut down", { permanent: false });
}
