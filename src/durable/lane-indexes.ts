/** What a segment has of each lane: packed as in the file, for a large queue has tens of thousands, until somebody reads there. */

/** Of one lane in one segment. */
export interface LaneIndex {
  readonly lane: number;
  count: number;
  firstSequence: number;
  lastSequence: number;
  items: number;
  /** Of the records, with their headers. */
  bytes: number;
  oldestMs: number;
  /** Where the list of the lane's records begins in the file; -1 while it is in memory. */
  listAt: number;
  /** The list in memory: offset, sequence number minus the first of the segment, items; undefined when it is in the file. */
  list: Uint32Array<ArrayBuffer> | undefined;
  /** Of the list in the file. */
  listCrc: number;
  /** Whether the list in the file was found to be whole. */
  isListChecked: boolean;
  /** The list was made anew from the records, because one was not where it should be. */
  isRepaired?: boolean;
}

/** In the file. */
export const laneBytes = 56;

export class LaneIndexes {
  /** Those that somebody asked for or added: what is changed in them lasts. */
  readonly #live = new Map<number, LaneIndex>();
  /** As they are in the file; `#live` goes before. */
  #packed: Buffer;
  /** Of `#live`, those that are not in `#packed`. */
  #added = 0;

  /** `packed` is kept. */
  constructor(packed: Buffer = Buffer.alloc(0)) {
    this.#packed = packed;
  }

  get size(): number {
    return this.#packed.length / laneBytes + this.#added;
  }

  /** The same object each time. */
  get(lane: number): LaneIndex | undefined {
    const live = this.#live.get(lane);
    if (live !== undefined) return live;
    for (let at = 0; at < this.#packed.length; at += laneBytes) {
      if (this.#packed.readUInt32LE(at) !== lane) continue;
      const known = decodeLane(this.#packed, at);
      this.#live.set(lane, known);
      return known;
    }
    return undefined;
  }

  /** A lane that is not there yet. */
  add(known: LaneIndex): void {
    this.#live.set(known.lane, known);
    this.#added++;
  }

  /** To be read: what is to be changed has to be asked for by `get`. */
  *values(): Iterable<LaneIndex> {
    for (let at = 0; at < this.#packed.length; at += laneBytes) {
      yield this.#live.get(this.#packed.readUInt32LE(at)) ?? decodeLane(this.#packed, at);
    }
    if (this.#packed.length === 0) yield* this.#live.values();
  }

  /** The lists are in the file, and no lane will be added. Objects that were handed out before count no more. */
  pack(): void {
    this.#packed = encodeLanes(this.values(), this.size);
    this.#live.clear();
    this.#added = 0;
  }
}

/** The lanes as they stand in the file. */
export function encodeLanes(lanes: Iterable<LaneIndex>, count: number): Buffer {
  const bytes = Buffer.alloc(count * laneBytes);
  let at = 0;
  for (const known of lanes) {
    bytes.writeUInt32LE(known.lane, at);
    bytes.writeUInt32LE(known.count, at + 4);
    bytes.writeDoubleLE(known.firstSequence, at + 8);
    bytes.writeDoubleLE(known.lastSequence, at + 16);
    bytes.writeDoubleLE(known.items, at + 24);
    bytes.writeDoubleLE(known.bytes, at + 32);
    bytes.writeDoubleLE(known.oldestMs, at + 40);
    bytes.writeUInt32LE(known.listAt, at + 48);
    bytes.writeUInt32LE(known.listCrc, at + 52);
    at += laneBytes;
  }
  return bytes;
}

function decodeLane(bytes: Buffer, at: number): LaneIndex {
  return {
    lane: bytes.readUInt32LE(at),
    count: bytes.readUInt32LE(at + 4),
    firstSequence: bytes.readDoubleLE(at + 8),
    lastSequence: bytes.readDoubleLE(at + 16),
    items: bytes.readDoubleLE(at + 24),
    bytes: bytes.readDoubleLE(at + 32),
    oldestMs: bytes.readDoubleLE(at + 40),
    listAt: bytes.readUInt32LE(at + 48),
    list: undefined,
    listCrc: bytes.readUInt32LE(at + 52),
    isListChecked: false,
  };
}
