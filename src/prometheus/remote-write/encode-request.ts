/** Builds snappy-compressed remote-write 1.0 requests from queued segments. */

import { compressSync } from "snappy";
import { ByteWriter } from "../../kernels/byte-writer.ts";
import {
  type EncodeTarget,
  encodeSamples,
  type LabelColumns,
  sampleOverheadBytes,
} from "../../kernels/encode-remote-write.ts";
import { type SampleExemplar, type SamplesSegment, sliceSamples } from "../../model/batch.ts";
import type { Identities, Label } from "../../model/identities.ts";
import type { FamilyType } from "../../model/series.ts";

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

/** Encodes one request after another into one buffer that is used again. */
export class RequestEncoder {
  readonly #identities: Identities;
  #bytes: Buffer = Buffer.allocUnsafeSlow(256 * 1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  #samples = 0;
  #exemplars = 0;
  #highestTimestampMs = 0;

  constructor(identities: Identities) {
    this.#identities = identities;
  }

  get samples(): number {
    return this.#samples;
  }

  begin(): void {
    this.#length = 0;
    this.#samples = 0;
    this.#exemplars = 0;
    this.#highestTimestampMs = 0;
  }

  /** Appends rows of a segment as far as the bounds allow; returns what did not fit, or undefined. */
  add(
    segment: SamplesSegment,
    bounds: RequestBounds,
    exemplars: readonly SampleExemplar[],
  ): SamplesSegment | undefined {
    const rows = segment.to - segment.from;
    const wanted = Math.min(rows, Math.max(0, bounds.samples - this.#samples - this.#exemplars));
    const labelSets = (segment.layout.labels ?? new Uint32Array(0)).subarray(segment.from, segment.to);
    const target = this.#target(bounds.bytes);
    let done = 0;
    const columns = this.#columns();
    while (done < wanted) {
      done = encodeSamples(columns, labelSets, rowsOf(segment), done, wanted, target);
      if (done >= wanted) break;
      // The target is full: is the request, or may the buffer grow?
      const weight = this.#identities.labelSets.weights[labelSets[done] as number] as number;
      const needed = target.length + weight + sampleOverheadBytes;
      if (needed > bounds.bytes && target.length > 0) break;
      this.#length = target.length;
      this.#grow(needed);
      Object.assign(target, this.#target(Math.max(needed, bounds.bytes)));
    }
    this.#length = target.length;
    this.#samples += done;
    this.#noteTimes(segment, done);
    for (const exemplar of exemplars) if (exemplar.row < done) this.#addExemplar(segment, labelSets, exemplar);
    return done >= rows ? undefined : sliceSamples(segment, done, rows);
  }

  /** The request as it leaves. */
  finish(): EncodedRequest {
    const body = compressSync(this.#bytes.subarray(0, this.#length), { copyOutputData: true });
    return {
      body: body as Uint8Array,
      samples: this.#samples,
      exemplars: this.#exemplars,
      highestTimestampMs: this.#highestTimestampMs,
    };
  }

  /** The buffer as far as a request of so many bytes may fill it. */
  #target(bytes: number): EncodeTarget {
    return { bytes: this.#bytes.subarray(0, bytes), view: this.#view, length: this.#length };
  }

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

  /** An exemplar travels as a TimeSeries of its own: labels, then field 3. */
  #addExemplar(segment: SamplesSegment, labelSets: Uint32Array, exemplar: SampleExemplar): void {
    const set = labelSets[exemplar.row] as number;
    const message = new ByteWriter(128);
    for (const [name, value] of sortLabels(exemplar.labels)) {
      const label = new ByteWriter(64);
      label.stringField(0x0a, name);
      label.stringField(0x12, value);
      message.bytesField(0x0a, label.view());
    }
    if (!Object.is(exemplar.value, 0)) {
      message.varint(0x11);
      if (Number.isNaN(exemplar.value)) message.raw(plainNaN);
      else message.double(exemplar.value);
    }
    const timestampMs = exemplar.timestampMs ?? segment.timestampsMs?.[exemplar.row] ?? segment.timestampMs;
    if (timestampMs !== 0) {
      message.varint(0x18);
      message.varint64(BigInt(Math.trunc(timestampMs)));
    }
    const series = new ByteWriter(256);
    for (const pair of this.#identities.labelSets.view(set)) series.raw(this.#identities.labelPairs.view(pair));
    series.bytesField(0x1a, message.view());
    const field = new ByteWriter(series.length + 16);
    field.bytesField(0x0a, series.view());
    this.#grow(this.#length + field.length + sampleOverheadBytes);
    this.#bytes.set(field.view(), this.#length);
    this.#length += field.length;
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

/** The bytes of the NaN that Prometheus makes of one in a page. */
const plainNaN = Uint8Array.of(1, 0, 0, 0, 0, 0, 0xf8, 0x7f);

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
