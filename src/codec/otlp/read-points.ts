/** Reads the data points of a walked request into columns. */

import { readVarint, varintBytes } from "../../kernels/otlp-bytes.ts";
import type { KnownRegions } from "./known-regions.ts";
import { ExponentialRows, HistogramRows, hasBits, NumberRows, SummaryRows } from "./point-rows.ts";
import { readBuckets, readExemplar, skipField } from "./read-parts.ts";

const zeroView = new DataView(new ArrayBuffer(8));

/**
 * Trusts that the bytes were walked: lengths stay inside their messages. Each kind is one loop over the fields of a point;
 * a call per field would double its time.
 */
export class PointsReader {
  readonly numbers = new NumberRows();
  readonly histograms = new HistogramRows();
  readonly exponentials = new ExponentialRows();
  readonly summaries = new SummaryRows();
  readonly #regions: KnownRegions;
  #bytes: Uint8Array = new Uint8Array();
  #view: DataView = zeroView;
  /** Where the attributes of the point being read are, and those that do not stand together. */
  #attributesFrom = 0;
  #attributesTo = 0;
  #scattered: Uint8Array[] | undefined;

  constructor(regions: KnownRegions) {
    this.#regions = regions;
  }

  use(bytes: Uint8Array, view: DataView): void {
    this.#bytes = bytes;
    this.#view = view;
  }

  release(): void {
    this.use(new Uint8Array(), zeroView);
  }

  #addAttribute(from: number, to: number): void {
    if (this.#attributesTo === 0) this.#attributesFrom = from;
    else if (this.#attributesTo !== from) {
      this.#scattered ??= [];
      this.#scattered.push(this.#bytes.subarray(this.#attributesFrom, this.#attributesTo));
      this.#attributesFrom = from;
    }
    this.#attributesTo = to;
  }

  /** The region of the attributes of the point, and begins anew. */
  #region(expected: number): number {
    const [from, to, scattered] = [this.#attributesFrom, this.#attributesTo, this.#scattered];
    this.#attributesFrom = 0;
    this.#attributesTo = 0;
    if (scattered === undefined) return this.#regions.find(this.#bytes, this.#view, from, to, expected);
    this.#scattered = undefined;
    const joined = Buffer.concat([...scattered, this.#bytes.subarray(from, to)]);
    const view = new DataView(joined.buffer, joined.byteOffset, joined.length);
    return this.#regions.find(joined, view, 0, joined.length, expected);
  }

  /** Reads the NumberDataPoint in [start, end); `expected` is the region that its attributes probably are. */
  number(start: number, end: number, expected: number): void {
    const [bytes, view, rows] = [this.#bytes, this.#view, this.numbers];
    const row = rows.begin();
    const { times, starts, values } = rows;
    const word = row * 2;
    let at = start;
    if (bytes[at] === 0x11) {
      starts[word] = view.getInt32(at + 1, true);
      starts[word + 1] = view.getInt32(at + 5, true);
      at += 9;
    }
    const valueTag = bytes[at + 9] as number;
    if (expected !== 0 && bytes[at] === 0x19 && (valueTag === 0x21 || valueTag === 0x31)) {
      // Two times, a value, and then exactly the attributes that stood here in the last request.
      if (this.#regions.matches(expected, view, at + 18, end)) {
        times[word] = view.getInt32(at + 1, true);
        times[word + 1] = view.getInt32(at + 5, true);
        values[word] = view.getInt32(at + 10, true);
        values[word + 1] = view.getInt32(at + 14, true);
        rows.regions[row] = expected;
        if (valueTag === 0x31) {
          rows.kinds[row] = 1;
          rows.isMixed = true;
        } else rows.kinds[row] = 0;
        return;
      }
    }
    this.#numberFields(at, end, row, expected);
  }

  #numberFields(start: number, end: number, row: number, expected: number): void {
    const [bytes, view, rows] = [this.#bytes, this.#view, this.numbers];
    const { times, starts, values } = rows;
    const word = row * 2;
    values[word] = 0;
    values[word + 1] = 0;
    let kind = 2;
    let at = start;
    while (at < end) {
      const from = at;
      const tag = bytes[at++] as number;
      if (tag === 0x11 || tag === 0x19 || tag === 0x21 || tag === 0x31) {
        const column = tag === 0x11 ? starts : tag === 0x19 ? times : values;
        if (tag === 0x21) kind = 0;
        else if (tag === 0x31) kind = 1;
        column[word] = view.getInt32(at, true);
        column[word + 1] = view.getInt32(at + 4, true);
        at += 8;
      } else {
        at = skipField(bytes, from);
        if (tag === 0x3a) this.#addAttribute(from, at);
        else if (tag === 0x40) rows.flags[row] = readVarint(bytes, from + 1) % 0x100000000;
        else if (tag === 0x2a) this.#exemplar(rows, row, from, at);
      }
    }
    rows.kinds[row] = kind;
    if (kind !== 0) rows.isMixed = true;
    rows.regions[row] = this.#region(expected);
  }

  #exemplar(rows: NumberRows | HistogramRows | ExponentialRows, row: number, from: number, to: number): void {
    rows.exemplars ??= [];
    rows.exemplars.push(readExemplar(this.#bytes, from, to, row));
  }

  histogram(start: number, end: number, expected: number): void {
    const [bytes, view, rows] = [this.#bytes, this.#view, this.histograms];
    const row = rows.begin();
    const word = row * 2;
    let at = start;
    while (at < end) {
      const from = at;
      const tag = bytes[at] as number;
      let column: Int32Array | undefined;
      if (tag === 0x11) column = rows.starts;
      else if (tag === 0x19) column = rows.times;
      else if (tag === 0x21) column = rows.counts;
      else if (tag === 0x29) {
        column = rows.sums;
        rows.has[row] = (rows.has[row] as number) | hasBits.sum;
      } else if (tag === 0x59) {
        column = rows.mins;
        rows.has[row] = (rows.has[row] as number) | hasBits.min;
      } else if (tag === 0x61) {
        column = rows.maxs;
        rows.has[row] = (rows.has[row] as number) | hasBits.max;
      }
      if (column !== undefined) {
        column[word] = view.getInt32(at + 1, true);
        column[word + 1] = view.getInt32(at + 5, true);
        at += 9;
        continue;
      }
      at = skipField(bytes, from);
      if (tag === 0x4a) this.#addAttribute(from, at);
      else if (tag === 0x32 || tag === 0x3a) {
        const list = tag === 0x32 ? rows.bucketCounts : rows.bounds;
        for (let i = from + 1 + varintBytes(bytes, from + 1); i < at; i += 8) list.push(view, i);
      } else if (tag === 0x31) rows.bucketCounts.push(view, from + 1);
      else if (tag === 0x39) rows.bounds.push(view, from + 1);
      else if (tag === 0x50) rows.flags[row] = readVarint(bytes, from + 1) % 0x100000000;
      else if (tag === 0x42) this.#exemplar(rows, row, from, at);
    }
    rows.regions[row] = this.#region(expected);
  }

  exponential(start: number, end: number, expected: number): void {
    const [bytes, view, rows] = [this.#bytes, this.#view, this.exponentials];
    const row = rows.begin();
    const word = row * 2;
    let at = start;
    while (at < end) {
      const from = at;
      const tag = bytes[at] as number;
      let column: Int32Array | undefined;
      if (tag === 0x11) column = rows.starts;
      else if (tag === 0x19) column = rows.times;
      else if (tag === 0x21) column = rows.counts;
      else if (tag === 0x39) column = rows.zeroCounts;
      else if (tag === 0x71) column = rows.zeroThresholds;
      else if (tag === 0x29) {
        column = rows.sums;
        rows.has[row] = (rows.has[row] as number) | hasBits.sum;
      } else if (tag === 0x61) {
        column = rows.mins;
        rows.has[row] = (rows.has[row] as number) | hasBits.min;
      } else if (tag === 0x69) {
        column = rows.maxs;
        rows.has[row] = (rows.has[row] as number) | hasBits.max;
      }
      if (column !== undefined) {
        column[word] = view.getInt32(at + 1, true);
        column[word + 1] = view.getInt32(at + 5, true);
        at += 9;
        continue;
      }
      at = skipField(bytes, from);
      if (tag === 0x0a) this.#addAttribute(from, at);
      else if (tag === 0x30) {
        const zigzag = readVarint(bytes, from + 1) % 0x100000000;
        rows.scales[row] = (zigzag >>> 1) ^ -(zigzag & 1);
      } else if (tag === 0x42) rows.positive[row] = readBuckets(bytes, from, at);
      else if (tag === 0x4a) rows.negative[row] = readBuckets(bytes, from, at);
      else if (tag === 0x50) rows.flags[row] = readVarint(bytes, from + 1) % 0x100000000;
      else if (tag === 0x5a) this.#exemplar(rows, row, from, at);
    }
    rows.regions[row] = this.#region(expected);
  }

  summary(start: number, end: number, expected: number): void {
    const [bytes, view, rows] = [this.#bytes, this.#view, this.summaries];
    const row = rows.begin();
    const word = row * 2;
    let at = start;
    while (at < end) {
      const from = at;
      const tag = bytes[at] as number;
      if (tag === 0x11 || tag === 0x19 || tag === 0x21 || tag === 0x29) {
        const column = tag === 0x11 ? rows.starts : tag === 0x19 ? rows.times : tag === 0x21 ? rows.counts : rows.sums;
        column[word] = view.getInt32(at + 1, true);
        column[word + 1] = view.getInt32(at + 5, true);
        at += 9;
        continue;
      }
      at = skipField(bytes, from);
      if (tag === 0x3a) this.#addAttribute(from, at);
      else if (tag === 0x32) this.#quantile(from + 1 + varintBytes(bytes, from + 1), at);
      else if (tag === 0x40) rows.flags[row] = readVarint(bytes, from + 1) % 0x100000000;
    }
    rows.regions[row] = this.#region(expected);
  }

  #quantile(start: number, end: number): void {
    const { quantiles, quantileValues } = this.summaries;
    let quantileAt = -1;
    let valueAt = -1;
    for (let at = start; at < end; at = skipField(this.#bytes, at)) {
      if (this.#bytes[at] === 0x09) quantileAt = at + 1;
      else if (this.#bytes[at] === 0x11) valueAt = at + 1;
    }
    if (quantileAt < 0) quantiles.push(zeroView, 0);
    else quantiles.push(this.#view, quantileAt);
    if (valueAt < 0) quantileValues.push(zeroView, 0);
    else quantileValues.push(this.#view, valueAt);
  }
}
