/** Segments of samples on disk: the layout by name, then columns. */

import { ByteWriter } from "../kernels/byte-writer.ts";
import { type SampleExemplar, type SamplesSegment, segmentBytes } from "../model/batch.ts";
import { DecodeError } from "../model/errors.ts";
import type { Identities, Label } from "../model/identities.ts";
import type { Origin, SamplesLayout } from "../model/layout.ts";
import type { Define, EncodedItem, FindDefinition, ItemCodec } from "./item-codec.ts";
import { missingDefinition } from "./lane-loader.ts";
import { decodeLayout, encodeLayout, type LayoutDefinition } from "./layout-definition.ts";
import { PayloadReader } from "./payload-reader.ts";

/** The kind of a record of samples. */
export const samplesKind = 1;

/** Layout name (16), flags, rows from and to, time. */
const headBytes = 40;
const has = { allStale: 1, staleRows: 2, times: 4, exemplars: 8, histograms: 16 } as const;
/** Rows of layouts that stay in memory between the records that refer to them. */
const maxRememberedRows = 200_000;
/** What a row of a layout takes, and the identity that it names: scraping has those of what it scrapes, a start has none. */
const rowBytes = 56;

export class SamplesCodec implements ItemCodec<SamplesSegment> {
  readonly #identities: Identities;
  readonly #originOf: (lane: number) => Origin;
  readonly #definitions = new WeakMap<SamplesLayout, LayoutDefinition>();
  readonly #layouts = new Map<string, WeakRef<SamplesLayout>>();
  /** The layouts read last, so that the next record finds them. */
  readonly #recent = new Map<string, SamplesLayout>();
  #recentRows = 0;
  #sweepAt = 1024;

  /** `originOf` gives what layouts that come from disk know of their source. */
  constructor(identities: Identities, originOf: (lane: number) => Origin) {
    this.#identities = identities;
    this.#originOf = originOf;
  }

  memoryBytes(segment: SamplesSegment): number {
    return segmentBytes(segment);
  }

  readBytes(segment: SamplesSegment): number {
    return segmentBytes(segment) + (segment.to - segment.from) * rowBytes;
  }

  encode(segment: SamplesSegment, define: Define): EncodedItem {
    const { from, to, stale, values, timestampMs, timestampsMs, exemplars = [], histograms } = segment;
    const definition = this.#definitionOf(segment.layout);
    define(definition.name, () => definition.content);
    const parts: Uint8Array[] = [];
    let flags = 0;
    if (stale === true) flags |= has.allStale;
    else parts.push(rawBytes(values));
    if (typeof stale !== "boolean") {
      flags |= has.staleRows;
      parts.push(packBits(stale));
    }
    if (timestampsMs !== undefined || exemplars.length > 0 || histograms !== undefined) {
      const tail = new ByteWriter(64);
      if (timestampsMs !== undefined) {
        flags |= has.times;
        writeTimes(tail, timestampsMs, timestampMs);
      }
      if (exemplars.length > 0) {
        flags |= has.exemplars;
        writeExemplars(tail, exemplars);
      }
      if (histograms !== undefined) {
        flags |= has.histograms;
        for (const histogram of histograms) {
          tail.varint(histogram.length);
          tail.raw(histogram);
        }
      }
      if (tail.length > 0) parts.push(tail.view());
    }
    const head = Buffer.allocUnsafe(headBytes).fill(0);
    head.write(definition.name, 0, "hex");
    head.writeUInt32LE(flags, 16);
    head.writeUInt32LE(from, 20);
    head.writeUInt32LE(to, 24);
    head.writeDoubleLE(timestampMs, 32);
    return { kind: samplesKind, items: to - from, parts: [head, ...parts] };
  }

  async decode(kind: number, payload: Uint8Array, find: FindDefinition, lane: number): Promise<SamplesSegment> {
    if (kind !== samplesKind) throw new DecodeError("samples", 0, `a record of kind ${kind}`);
    const reader = new PayloadReader(payload, "samples");
    const head = reader.bytes(headBytes);
    const layout = await this.#layout(head.toString("hex", 0, 16), find, lane);
    const flags = head.readUInt32LE(16);
    const from = head.readUInt32LE(20);
    const to = head.readUInt32LE(24);
    const timestampMs = head.readDoubleLE(32);
    if (from > to || to > layout.length) throw reader.fault("rows that the layout does not have");
    const rows = to - from;
    const allStale = (flags & has.allStale) !== 0;
    const values = new Float64Array(rows);
    // As bytes: a NaN keeps its own.
    if (!allStale) rawBytes(values).set(reader.bytes(rows * 8));
    const stale = (flags & has.staleRows) === 0 ? allStale : unpackBits(reader.bytes((rows + 7) >> 3), rows);
    const timestampsMs = (flags & has.times) === 0 ? undefined : readTimes(reader, rows, timestampMs);
    const exemplars = (flags & has.exemplars) === 0 ? undefined : readExemplars(reader);
    const histograms =
      (flags & has.histograms) === 0
        ? undefined
        : Array.from({ length: rows }, () => Uint8Array.from(reader.bytes(reader.varint())));
    return { form: "samples", layout, from, to, values, stale, timestampMs, timestampsMs, exemplars, histograms };
  }

  #definitionOf(layout: SamplesLayout): LayoutDefinition {
    let known = this.#definitions.get(layout);
    if (known === undefined) {
      known = encodeLayout(layout);
      this.#definitions.set(layout, known);
      this.#note(known.name, layout);
    }
    return known;
  }

  async #layout(name: string, find: FindDefinition, lane: number): Promise<SamplesLayout> {
    const known = this.#layouts.get(name)?.deref();
    if (known !== undefined) return known;
    const content = await find(name);
    if (content === undefined) throw new DecodeError(missingDefinition, 0, `layout ${name} is damaged everywhere`);
    // Another lane may have asked for it meanwhile.
    const found = this.#layouts.get(name)?.deref();
    if (found !== undefined) return found;
    const layout = decodeLayout({ name, content }, this.#identities, this.#originOf(lane));
    this.#note(name, layout);
    this.#recent.set(name, layout);
    this.#recentRows += layout.length;
    for (const [oldest, { length }] of this.#recent) {
      if (this.#recentRows <= maxRememberedRows || this.#recent.size === 1) break;
      this.#recent.delete(oldest);
      this.#recentRows -= length;
    }
    return layout;
  }

  #note(name: string, layout: SamplesLayout): void {
    this.#layouts.set(name, new WeakRef(layout));
    if (this.#layouts.size < this.#sweepAt) return;
    for (const [other, reference] of this.#layouts) {
      if (reference.deref() === undefined) this.#layouts.delete(other);
    }
    this.#sweepAt = Math.max(1024, this.#layouts.size * 2);
  }
}

function rawBytes(values: Float64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function packBits(flags: Uint8Array): Uint8Array {
  const packed = new Uint8Array((flags.length + 7) >> 3);
  for (let i = 0; i < flags.length; i++) {
    if (flags[i] === 1) packed[i >> 3] = (packed[i >> 3] as number) | (1 << (i & 7));
  }
  return packed;
}

function unpackBits(packed: Uint8Array, count: number): Uint8Array {
  const flags = new Uint8Array(count);
  for (let i = 0; i < count; i++) flags[i] = ((packed[i >> 3] as number) >> (i & 7)) & 1;
  return flags;
}

/** Differences from row to row, from `firstMs` on; or the doubles themselves where one is no whole number. */
function writeTimes(writer: ByteWriter, times: Float64Array, firstMs: number): void {
  const isWhole = Number.isSafeInteger(firstMs) && times.every((time) => Math.abs(time) < 2 ** 51);
  const areWhole = isWhole && times.every((time) => Number.isInteger(time) && !Object.is(time, -0));
  if (!areWhole || Math.abs(firstMs) >= 2 ** 51) {
    writer.varint(0);
    writer.raw(rawBytes(times));
    return;
  }
  writer.varint(1);
  let before = firstMs;
  for (const time of times) {
    const difference = time - before;
    writer.varint(difference >= 0 ? difference * 2 : -difference * 2 - 1);
    before = time;
  }
}

function readTimes(reader: PayloadReader, rows: number, firstMs: number): Float64Array {
  const times = new Float64Array(rows);
  if (reader.varint() === 0) {
    rawBytes(times).set(reader.bytes(rows * 8));
    return times;
  }
  let before = firstMs;
  for (let row = 0; row < rows; row++) {
    const folded = reader.varint();
    before += folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
    times[row] = before;
  }
  return times;
}

function writeExemplars(writer: ByteWriter, exemplars: readonly SampleExemplar[]): void {
  writer.varint(exemplars.length);
  for (const { row, labels, value, timestampMs } of exemplars) {
    writer.varint(row);
    writer.varint(labels.length);
    for (const text of labels.flat()) {
      const bytes = Buffer.from(text);
      writer.varint(bytes.length);
      writer.raw(bytes);
    }
    writer.double(value);
    writer.varint(timestampMs === undefined ? 0 : 1);
    if (timestampMs !== undefined) writer.double(timestampMs);
  }
}

function readExemplars(reader: PayloadReader): SampleExemplar[] {
  return Array.from({ length: reader.count() }, () => {
    const row = reader.varint();
    const labels = Array.from({ length: reader.count() }, (): Label => [reader.text(), reader.text()]);
    const value = reader.double();
    const timestampMs = reader.varint() === 0 ? undefined : reader.double();
    return { row, labels, value, timestampMs };
  });
}
