/** How what a disk queue carries becomes bytes and comes back. */

/** A record's content. */
export interface EncodedItem {
  /** Says to the codec what the payload is. */
  readonly kind: number;
  /** Samples, points, spans or log records. */
  readonly items: number;
  /** The payload; the parts must not change until they are written. */
  readonly parts: readonly Uint8Array[];
}

/**
 * Makes sure that the segment has a definition: bytes that records refer to by a name of 16 bytes in hex, a digest of
 * them. `content` is asked once for every segment.
 */
export type Define = (name: string, content: () => Uint8Array) => void;

/** The bytes of a definition, valid until the next call; undefined when they are damaged everywhere. */
export type FindDefinition = (name: string) => Promise<Uint8Array | undefined>;

/** A payload that is larger was read into a buffer of its own, which the item may keep. */
export const ownPayloadBytes = 1 << 20;

export interface ItemCodec<T> {
  encode(item: T, define: Define): EncodedItem;
  /**
   * The payload is valid until it settles. Rejects with DecodeError when the payload is none of `kind`; the record is then
   * dropped, counted.
   */
  decode(kind: number, payload: Uint8Array, find: FindDefinition, lane: number): Promise<T>;
  /** Rough bytes that the item keeps in memory. */
  memoryBytes(item: T): number;
  /** The same of one that was read from disk, with what it may keep beside it: `memoryBytes` where there is none. */
  readBytes?(item: T): number;
}
