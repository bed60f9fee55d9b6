/** Lets appends wait their turn while room is made for them: what is too old goes, and where that is the rule, the oldest. */

import type { GiveUpReason } from "./durable-options.ts";
import type { QueueSpace } from "./queue-space.ts";
import type { Segment } from "./segment.ts";
import { StorageError } from "./storage-error.ts";

export interface QueueRoomParts {
  readonly space: QueueSpace;
  /** Oldest first. */
  readonly segments: ReadonlyMap<number, Segment>;
  readonly dropsOldest: () => boolean;
  readonly isTooOld: (timeMs: number) => boolean;
  /** Of all files, and of what waits to be written. */
  readonly diskBytes: () => number;
  /** Closes the segment that is written to. */
  readonly finish: () => Promise<void>;
  /** Resolves when segments that are done are removed; to false where they cannot be. */
  readonly removed: () => Promise<boolean>;
  readonly giveUp: (segment: Segment, reason: GiveUpReason) => Promise<void>;
}

/** Segments that one append gives up at most before it is refused. */
const maxGiveUps = 16;

export class QueueRoom {
  readonly #parts: QueueRoomParts;
  #waiting = 0;
  #turn: Promise<void> = Promise.resolve();

  constructor(parts: QueueRoomParts) {
    this.#parts = parts;
  }

  /** Whether an append of this size must take its turn: behind one that makes room, all others wait. */
  mustWait(bytes: number): boolean {
    if (this.#waiting > 0) return true;
    const oldest = this.#oldestClosed();
    if (oldest !== undefined && this.#parts.isTooOld(oldest.index.newestMs)) return true;
    return this.#fullness(bytes) !== undefined;
  }

  /**
   * Calls `write` when there is room, in the order of the calls; resolves when what it began has ended. Rejects with
   * STORAGE_FULL when there is no room and none can be made.
   */
  async inTurn(bytes: number, write: () => Promise<void>): Promise<void> {
    this.#waiting++;
    let written: Promise<void> = Promise.resolve();
    const turn = this.#turn.then(async () => {
      await this.#makeRoom(bytes);
      written = write();
      written.catch(() => {});
    });
    this.#turn = turn.catch(() => {});
    try {
      await turn;
    } finally {
      this.#waiting--;
    }
    await written;
  }

  /** Resolves when every append has had its turn, once no more are coming. */
  async idle(): Promise<void> {
    await this.#turn;
  }

  async #makeRoom(bytes: number): Promise<void> {
    const { finish, removed, dropsOldest, giveUp, space } = this.#parts;
    for (let tries = 0; ; tries++) {
      await this.#giveUpOld();
      // What is being written must be whole before it can be removed or given up.
      if (this.#fullness(bytes) !== undefined && this.#oldestClosed() === undefined) await finish();
      const isRemoved = await removed();
      const full = this.#fullness(bytes);
      if (full === undefined) return;
      // What cannot be removed makes no room.
      const mayDrop = dropsOldest() && isRemoved && tries < maxGiveUps;
      const oldest = mayDrop ? this.#oldestClosed() : undefined;
      if (oldest === undefined) throw new StorageError("STORAGE_FULL", full);
      await giveUp(oldest, "queue_full");
      await space.refresh();
    }
  }

  /** Segments of which every record is older than the limit. */
  async #giveUpOld(): Promise<void> {
    for (let oldest = this.#oldestClosed(); oldest !== undefined; oldest = this.#oldestClosed()) {
      if (!this.#parts.isTooOld(oldest.index.newestMs)) return;
      await this.#parts.giveUp(oldest, "too_old");
    }
  }

  #oldestClosed(): Segment | undefined {
    for (const segment of this.#parts.segments.values()) if (segment.isClosed) return segment;
    return undefined;
  }

  #fullness(bytes: number): string | undefined {
    return this.#parts.space.fullness(bytes, this.#parts.diskBytes());
  }
}
