/** Builds snappy-compressed remote-write 1.0 requests from queued segments. */

import { compressSync } from "snappy";
import { ByteWriter } from "../../kernels/byte-writer.ts";
import {
  type EncodeTarget,
  encodeSamples,
  type LabelColumns,
  sampleOverheadBytes,
} from "../../kernels/encode-remote-write.ts";
import { fitsTemplate } from "../../kernels/fill-template.ts";
import type { SnappyTemplate } from "../../kernels/snappy-template.ts";
import { type SampleExemplar, type SamplesSegment, sliceSamples } from "../../model/batch.ts";
import type { Identities, Label } from "../../model/identities.ts";
import type { FamilyType } from "../../model/series.ts";
import { BlockTemplates } from "./block-templates.ts";
import { RequestBody } from "./request-body.ts";

/** What fits into one request. */
export interface RequestBounds {
  /** Samples and exemplars. */
  readonly samples: number;
  /** Bytes before compression; a request holds one series at least, whatever its size. */
  readonly bytes: number;
}

/** What a request was made of. */
export interface EncodedRequest {
  /** Compressed body. */
  readonly body: Uint8Array;
  readonly samples: number;
  readonly exemplars: number;
  /** Of the newest sample; 0 when there is none. */
  readonly highestTimestampMs: number;
}

/**
 * Encodes one request after another. The body is put together from parts: blocks of rows whose compressed form is known
 * are filled in, all else is encoded and compressed.
 */
export class RequestEncoder {
  readonly #identities: Identities;
  readonly #templates: BlockTemplates;
  /** What is encoded and not yet compressed. */
  #bytes: Buffer = Buffer.allocUnsafeSlow(256 * 1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  readonly #body = new RequestBody();
  #samples = 0;
  #exemplars = 0;
  #highestTimestampMs = 0;

  /** `maxRows` is what a request may hold. */
  constructor(identities: Identities, maxRows: number) {
    this.#identities = identities;
    this.#templates = new BlockTemplates(maxRows);
  }

  get samples(): number {
    return this.#samples;
  }

  /** Bytes of the compressed blocks that are remembered of layouts in use. */
  get templateBytes(): number {
    return this.#templates.bytesOf(this.#identities.layouts());
  }

  /** Bytes of the buffers that requests are built in, one after another. */
  get bufferBytes(): number {
    return this.#bytes.length + this.#body.bufferBytes;
  }

  begin(): void {
    this.#length = 0;
    this.#body.begin();
    this.#samples = 0;
    this.#exemplars = 0;
    this.#highestTimestampMs = 0;
  }

  /**
   * Appends rows of a segment as far as the bounds allow; returns what did not fit, or undefined. A request may end a
   * little before its bound, so that the next begins with a block.
   */
  add(
    segment: SamplesSegment,
    bounds: RequestBounds,
    exemplars: readonly SampleExemplar[],
  ): SamplesSegment | undefined {
    const rows = segment.to - segment.from;
    const room = Math.max(0, bounds.samples - this.#samples - this.#exemplars);
    if (segment.histograms !== undefined) return this.#addHistograms(segment, segment.histograms, bounds, exemplars);
    const mayFill = segment.timestampsMs === undefined && fitsTemplate(segment.timestampMs);
    const { blockRows } = this.#templates;
    let done = 0;
    while (done < rows && done < room) {
      const next = Math.min(rows, done + blockRows - ((segment.from + done) % blockRows));
      const template = mayFill ? this.#templateOf(segment, done, next) : undefined;
      if (template === undefined) {
        const to = Math.min(next, room);
        const end = this.#encodeRows(segment, done, to, bounds.bytes);
        const full = end < to;
        done = end;
        if (full) break;
        continue;
      }
      const isFirst = this.#plainBytes === 0;
      if (next > room && !isFirst) break;
      if (next > room || this.#plainBytes + template.plainBytes > bounds.bytes) {
        if (!isFirst) break;
        const to = Math.min(next, room);
        done = this.#encodeRows(segment, done, to, bounds.bytes);
        break;
      }
      this.#flush();
      this.#body.fill(template, segment, done);
      done = next;
    }
    this.#samples += done;
    this.#noteTimes(segment, done);
    for (const exemplar of exemplars) if (exemplar.row < done) this.#addExemplar(segment, exemplar);
    return done >= rows ? undefined : sliceSamples(segment, done, rows);
  }

  /** The request as it leaves. */
  finish(): EncodedRequest {
    this.#flush();
    return {
      body: this.#body.finish(),
      samples: this.#samples,
      exemplars: this.#exemplars,
      highestTimestampMs: this.#highestTimestampMs,
    };
  }

  /** Takes back the memory of a request's body once nobody reads it any more. */
  release(body: Uint8Array): void {
    this.#body.release(body);
  }

  /** Bytes of the request so far, before compression. */
  get #plainBytes(): number {
    return this.#body.plainBytes + this.#length;
  }

  #flush(): void {
    if (this.#length > 0) this.#body.compress(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
  }

  /** The template of rows [from, to) of a segment, if they are a whole block of their layout. */
  #templateOf(segment: SamplesSegment, from: number, to: number): SnappyTemplate | undefined {
    const { layout } = segment;
    const first = segment.from + from;
    const { blockRows } = this.#templates;
    if (first % blockRows !== 0) return undefined;
    if (to - from < blockRows && segment.from + to < layout.length) return undefined;
    return this.#templates.at(layout, first, this.#currentColumns);
  }

  /** Encodes rows [from, to) of a segment; returns the row behind the last one for which there was room. */
  #encodeRows(segment: SamplesSegment, from: number, to: number, maxBytes: number): number {
    const labelSets = labelSetsOf(segment);
    const before = this.#body.plainBytes;
    const target = this.#target(maxBytes - before);
    let done = from;
    const columns = this.#columns();
    while (done < to) {
      done = encodeSamples(columns, labelSets, rowsOf(segment), done, to, target);
      if (done >= to) break;
      // The target is full: is the request, or may the buffer grow?
      const weight = this.#identities.labelSets.weights[labelSets[done] as number] as number;
      const needed = target.length + weight + sampleOverheadBytes;
      if (before + needed > maxBytes && before + target.length > 0) break;
      this.#length = target.length;
      this.#grow(needed);
      Object.assign(target, this.#target(Math.max(needed, maxBytes - before)));
    }
    this.#length = target.length;
    return done;
  }

  /** The buffer as far as a request of so many bytes may fill it. */
  #target(bytes: number): EncodeTarget {
    return { bytes: this.#bytes.subarray(0, Math.max(0, bytes)), view: this.#view, length: this.#length };
  }

  readonly #currentColumns = () => this.#columns();

  #columns(): LabelColumns {
    const { labelPairs, labelSets } = this.#identities;
    return {
      pairView: new DataView(labelPairs.bytes.buffer),
      pairOffsets: labelPairs.offsets,
      pairLengths: labelPairs.lengths,
      setItems: labelSets.items,
      setOffsets: labelSets.offsets,
      setLengths: labelSets.lengths,
      setWeights: labelSets.weights,
    };
  }

  #noteTimes(segment: SamplesSegment, rows: number): void {
    if (rows === 0) return;
    const { timestampsMs } = segment;
    if (timestampsMs === undefined) this.#highestTimestampMs = Math.max(this.#highestTimestampMs, segment.timestampMs);
    else {
      for (let row = 0; row < rows; row++) {
        this.#highestTimestampMs = Math.max(this.#highestTimestampMs, timestampsMs[row] as number);
      }
    }
  }

  /** As `add`, for native histograms: their messages are there, one TimeSeries each. */
  #addHistograms(
    segment: SamplesSegment,
    histograms: readonly Uint8Array[],
    bounds: RequestBounds,
    exemplars: readonly SampleExemplar[],
  ): SamplesSegment | undefined {
    const labelSets = (segment.layout.labels ?? new Uint32Array(0)).subarray(segment.from, segment.to);
    const rows = segment.to - segment.from;
    const to = Math.min(rows, Math.max(0, bounds.samples - this.#samples - this.#exemplars));
    let done = 0;
    for (; done < to; done++) {
      const message = histograms[done] as Uint8Array;
      const set = labelSets[done] as number;
      const size = (this.#identities.labelSets.weights[set] as number) + message.length + sampleOverheadBytes;
      if (this.#plainBytes > 0 && this.#plainBytes + size > bounds.bytes) break;
      this.#addSeries(set, histogramTag, message);
    }
    this.#samples += done;
    this.#noteTimes(segment, done);
    for (const exemplar of exemplars) if (exemplar.row < done) this.#addExemplar(segment, exemplar);
    return done >= rows ? undefined : sliceSamples(segment, done, rows);
  }

  /** A TimeSeries of labels and one message in the field of the tag. */
  #addSeries(set: number, tag: number, message: Uint8Array): void {
    const series = new ByteWriter(256);
    for (const pair of this.#identities.labelSets.view(set)) series.raw(this.#identities.labelPairs.view(pair));
    series.bytesField(tag, message);
    const field = new ByteWriter(series.length + 16);
    field.bytesField(0x0a, series.view());
    this.#grow(this.#length + field.length + sampleOverheadBytes);
    this.#bytes.set(field.view(), this.#length);
    this.#length += field.length;
  }

  /** An exemplar travels as a TimeSeries of its own: labels, then field 3. */
  #addExemplar(segment: SamplesSegment, exemplar: SampleExemplar): void {
    const set = labelSetsOf(segment)[exemplar.row] as number;
    const message = new ByteWriter(128);
    for (const [name, value] of sortLabels(exemplar.labels)) {
      const label = new ByteWriter(64);
      label.stringField(0x0a, name);
      label.stringField(0x12, value);
      message.bytesField(0x0a, label.view());
    }
    if (exemplar.value !== 0) {
      message.varint(0x11);
      if (Number.isNaN(exemplar.value)) message.raw(plainNaN);
      else message.double(exemplar.value);
    }
    const timestampMs = exemplar.timestampMs ?? segment.timestampsMs?.[exemplar.row] ?? segment.timestampMs;
    if (timestampMs !== 0) {
      message.varint(0x18);
      message.varint64(BigInt(Math.trunc(timestampMs)));
    }
    this.#addSeries(set, exemplarTag, message.view());
    this.#exemplars++;
  }

  #grow(needed: number): void {
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** Fields of TimeSeries. */
const exemplarTag = 0x1a;
const histogramTag = 0x22;

/** The bytes of the NaN that Prometheus makes of one in a page. */
const plainNaN = Uint8Array.of(1, 0, 0, 0, 0, 0, 0xf8, 0x7f);

/** By row of the segment. */
function labelSetsOf({ layout, from, to }: SamplesSegment): Uint32Array {
  return (layout.labels ?? new Uint32Array(0)).subarray(from, to);
}

function rowsOf(segment: SamplesSegment) {
  const { values, stale, timestampMs, timestampsMs } = segment;
  return { values, stale, timestampMs, timestampsMs };
}

function sortLabels(labels: readonly Label[]): Label[] {
  return [...labels].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** Metadata of one metric family, as remote write 1.0 sends it. */
export interface MetadataEntry {
  readonly name: string;
  readonly type: FamilyType;
  readonly help: string;
  readonly unit: string;
}

/** prometheus.MetricMetadata.MetricType. */
const metadataTypes: Readonly<Record<FamilyType, number>> = {
  unknown: 0,
  counter: 1,
  gauge: 2,
  histogram: 3,
  gaugehistogram: 4,
  summary: 5,
  info: 6,
  stateset: 7,
};

/** A compressed request that holds metadata only (WriteRequest field 3). */
export function encodeMetadataRequest(entries: readonly MetadataEntry[]): Uint8Array {
  const request = new ByteWriter(4096);
  for (const { name, type, help, unit } of entries) {
    const entry = new ByteWriter(256);
    if (metadataTypes[type] !== 0) {
      entry.varint(0x08);
      entry.varint(metadataTypes[type]);
    }
    if (name !== "") entry.stringField(0x12, name);
    if (help !== "") entry.stringField(0x22, help);
    if (unit !== "") entry.stringField(0x2a, unit);
    request.bytesField(0x1a, entry.view());
  }
  return compressSync(request.view(), { copyOutputData: true }) as Uint8Array;
}
