/** Encoded identities that were seen before: byte ranges of requests, each with a number, and the attribute sets they mean. */

import { equalBytes } from "../../kernels/otlp-bytes.ts";
import { type AttributeValue, decodeKeyValue } from "../../model/attributes.ts";
import { ByteTable } from "../../model/byte-table.ts";
import { type Identities, maxIdentities } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import { WireReader } from "./wire-reader.ts";

/** Above this the regions are forgotten and learnt again: a client that sends ever new attributes takes no more. */
const maxRegionBytes = 256 * 1024 * 1024;

export class KnownRegions {
  readonly #identities: Identities;
  #table: ByteTable;
  #view: DataView;
  /** By region: the attribute set that its fields make, or `none` for not asked yet. */
  #sets = new Uint32Array(1024);

  constructor(identities: Identities) {
    this.#identities = identities;
    this.#table = new ByteTable("encoded identity", identities.hashKey, maxIdentities);
    this.#view = new DataView(this.#table.bytes.buffer);
  }

  get isFull(): boolean {
    return this.#table.byteLength > maxRegionBytes;
  }

  get byteLength(): number {
    return this.#table.byteLength + this.#sets.byteLength;
  }

  /** Forgets everything; the numbers given out before have no meaning any more. */
  clear(): void {
    this.#table = new ByteTable("encoded identity", this.#identities.hashKey, maxIdentities);
    this.#view = new DataView(this.#table.bytes.buffer);
    this.#sets = new Uint32Array(1024);
  }

  /** The number of `bytes[start..end)`; tries `expected` first, which costs a comparison and no hash. */
  find(bytes: Uint8Array, view: DataView, start: number, end: number, expected: number): number {
    if (expected !== none && this.matches(expected, view, start, end)) return expected;
    const table = this.#table;
    const region = table.intern(bytes, start, end);
    if (table.bytes.buffer !== this.#view.buffer) this.#view = new DataView(table.bytes.buffer);
    return region;
  }

  /** Whether `[start, end)` is this region. */
  matches(region: number, view: DataView, start: number, end: number): boolean {
    const { lengths, offsets } = this.#table;
    const length = end - start;
    return lengths[region] === length && equalBytes(this.#view, offsets[region] as number, view, start, length);
  }

  /** The attribute set of a region that is a list of KeyValue fields. Of several values for a key the last one counts. */
  attributeSet(region: number): number {
    const known = region < this.#sets.length ? (this.#sets[region] as number) : none;
    if (known !== none) return known;
    const attributes = new Map<string, AttributeValue>();
    const reader = new WireReader(this.#table.view(region));
    while (reader.next()) {
      const [key, value] = decodeKeyValue(reader.content());
      attributes.set(key, value);
    }
    const set = this.#identities.internAttributes(attributes);
    if (region >= this.#sets.length) {
      const grown = new Uint32Array(Math.max(region + 1, this.#sets.length * 2));
      grown.set(this.#sets);
      this.#sets = grown;
    }
    this.#sets[region] = set;
    return set;
  }

  /** The bytes of a region, valid until the next `find`. */
  bytes(region: number): Uint8Array {
    return this.#table.view(region);
  }
}
