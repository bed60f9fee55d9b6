/** Changes of a protobuf message in its bytes: noted in order, then applied in one copy. */

import { varintLength } from "../kernels/byte-writer.ts";
import { allocateMessage } from "../transport/message-memory.ts";

/** Up to this size bytes are copied in a loop, which costs less than a call. */
const maxLoopBytes = 24;

/** Places are noted in the order of the bytes, and never overlap. Used again: `reset` begins anew. */
export class BytePatches {
  readonly #froms: number[] = [];
  readonly #tos: number[] = [];
  readonly #inserted: (Uint8Array | undefined)[] = [];
  /** The new length of a nested message, where `#inserted` is undefined. */
  readonly #lengths: number[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  reset(): void {
    this.#count = 0;
  }

  /** Puts `bytes` in the place of [from, to); returns by how much the message grows. */
  replace(from: number, to: number, bytes: Uint8Array): number {
    const i = this.#count++;
    this.#froms[i] = from;
    this.#tos[i] = to;
    this.#inserted[i] = bytes;
    return bytes.length - (to - from);
  }

  /** Reserves the place of the length of a nested message, [from, to), before its own changes are noted. */
  openMessage(from: number, to: number): number {
    const i = this.#count++;
    this.#froms[i] = from;
    this.#tos[i] = to;
    this.#inserted[i] = undefined;
    return i;
  }

  /** Gives the message its new length; returns by how much it grows with it. */
  closeMessage(place: number, length: number, growth: number): number {
    this.#lengths[place] = length + growth;
    return growth + varintLength(length + growth) - ((this.#tos[place] as number) - (this.#froms[place] as number));
  }

  /** Forgets everything from the place on: the message does not change. */
  cancelFrom(place: number): void {
    this.#count = place;
  }

  /** The bytes with all changes, `growth` longer. */
  apply(bytes: Uint8Array, growth: number): Uint8Array {
    const result = allocateMessage(bytes.length + growth);
    let read = 0;
    let at = 0;
    for (let i = 0; i < this.#count; i++) {
      const from = this.#froms[i] as number;
      at = copy(bytes, read, from, result, at);
      const inserted = this.#inserted[i];
      if (inserted === undefined) {
        let length = this.#lengths[i] as number;
        for (; length >= 0x80; length = Math.floor(length / 0x80)) result[at++] = (length % 0x80) | 0x80;
        result[at++] = length;
      } else at = copy(inserted, 0, inserted.length, result, at);
      read = this.#tos[i] as number;
    }
    copy(bytes, read, bytes.length, result, at);
    return result;
  }
}

function copy(source: Uint8Array, from: number, to: number, target: Buffer, at: number): number {
  let end = at;
  if (to - from <= maxLoopBytes) for (let i = from; i < to; i++) target[end++] = source[i] as number;
  else {
    target.set(source.subarray(from, to), at);
    end += to - from;
  }
  return end;
}
