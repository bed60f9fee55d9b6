/** Reads remote-write 1.0 requests with snappy and protobufjs, apart from what Millrace writes them with. */

import protobuf from "protobufjs";
import { uncompressSync } from "snappy";

/** Values are read as 64 bits, because a NaN that becomes a number may lose what tells a stale marker apart. */
const schema = `
syntax = "proto3";
message WriteRequest {
  repeated TimeSeries timeseries = 1;
  repeated MetricMetadata metadata = 3;
}
message TimeSeries {
  repeated Label labels = 1;
  repeated Sample samples = 2;
  repeated Exemplar exemplars = 3;
  repeated bytes histograms = 4;
}
message Histogram {
  uint64 count_int = 1; fixed64 sum = 3; sint32 schema = 4; double zero_threshold = 5; uint64 zero_count_int = 6;
  repeated BucketSpan negative_spans = 8; repeated sint64 negative_deltas = 9;
  repeated BucketSpan positive_spans = 11; repeated sint64 positive_deltas = 12;
  int32 reset_hint = 14; int64 timestamp = 15;
}
message BucketSpan { sint32 offset = 1; uint32 length = 2; }
message Label { string name = 1; string value = 2; }
message Sample { fixed64 value = 1; int64 timestamp = 2; }
message Exemplar { repeated Label labels = 1; fixed64 value = 2; int64 timestamp = 3; }
message MetricMetadata { int32 type = 1; string metric_family_name = 2; string help = 4; string unit = 5; }
`;

const { root } = protobuf.parse(schema, { keepCase: true });
const writeRequest = root.lookupType("WriteRequest");
const histogram = root.lookupType("Histogram");

/** 64 bits as 16 hexadecimal digits. */
export type ValueBits = string;

/** Bits of a sample that ends a series. */
export const staleBits: ValueBits = "7ff0000000000002";

const typeNames = [
  "unknown",
  "counter",
  "gauge",
  "histogram",
  "gaugehistogram",
  "summary",
  "info",
  "stateset",
] as const;

export interface WireLabel {
  readonly name: string;
  readonly value: string;
}

export interface WireSample {
  readonly bits: ValueBits;
  readonly timestampMs: number;
}

export interface WireExemplar extends WireSample {
  readonly labels: readonly WireLabel[];
}

export interface WireSeries {
  readonly labels: readonly WireLabel[];
  readonly samples: readonly WireSample[];
  readonly exemplars: readonly WireExemplar[];
  /** Native histograms as they came, for `readHistogram`. */
  readonly histograms: readonly Uint8Array[];
}

export interface WireMetadata {
  readonly family: string;
  readonly type: string;
  readonly help: string;
  readonly unit: string;
}

export interface WireRequest {
  readonly series: readonly WireSeries[];
  readonly metadata: readonly WireMetadata[];
}

interface LongLike {
  readonly high: number;
  readonly low: number;
  toNumber(): number;
}
interface RawSample {
  readonly labels: readonly WireLabel[];
  readonly value: LongLike | number;
  readonly timestamp: LongLike | number;
}
interface RawRequest {
  readonly timeseries: readonly {
    readonly labels: readonly WireLabel[];
    readonly samples: readonly RawSample[];
    readonly exemplars: readonly RawSample[];
    readonly histograms: readonly Uint8Array[];
  }[];
  readonly metadata: readonly {
    readonly type: number;
    readonly metric_family_name: string;
    readonly help: string;
    readonly unit: string;
  }[];
}

/** Decodes a compressed request; throws when it is malformed. */
export function readWriteRequest(body: Uint8Array): WireRequest {
  const plain = uncompressSync(Buffer.from(body)) as Buffer;
  const raw = writeRequest.decode(plain) as unknown as RawRequest;
  return {
    series: raw.timeseries.map((series) => ({
      labels: series.labels.map(readLabel),
      samples: series.samples.map(readSample),
      exemplars: series.exemplars.map((exemplar) => ({
        ...readSample(exemplar),
        labels: exemplar.labels.map(readLabel),
      })),
      histograms: series.histograms,
    })),
    metadata: raw.metadata.map((entry) => ({
      family: entry.metric_family_name,
      type: typeNames[entry.type] ?? String(entry.type),
      help: entry.help,
      unit: entry.unit,
    })),
  };
}

function readLabel({ name, value }: WireLabel): WireLabel {
  return { name, value };
}

function readSample(raw: RawSample): WireSample {
  return { bits: readBits(raw.value), timestampMs: Number(raw.timestamp) };
}

function readBits(value: LongLike | number): ValueBits {
  if (typeof value === "number") return value.toString(16).padStart(16, "0");
  const word = (part: number) => (part >>> 0).toString(16).padStart(8, "0");
  return word(value.high) + word(value.low);
}

const view = new DataView(new ArrayBuffer(8));

/** Bits of a number; every NaN becomes the plain one that text pages give. */
export function bitsOf(value: number): ValueBits {
  if (Number.isNaN(value)) return "7ff8000000000001";
  view.setFloat64(0, value);
  return view.getBigUint64(0).toString(16).padStart(16, "0");
}

/** Bits as a person reads them. */
export function showBits(bits: ValueBits): string {
  if (bits === staleBits) return "stale";
  view.setBigUint64(0, BigInt(`0x${bits}`));
  const value = view.getFloat64(0);
  if (Number.isNaN(value)) return `NaN(${bits})`;
  return Object.is(value, -0) ? "-0" : String(value);
}

/** A native histogram with its buckets by index: equal where the histograms are, however their spans are cut. */
export interface WireHistogram {
  readonly count: string;
  readonly sum: ValueBits;
  readonly schema: number;
  readonly zeroThreshold: number;
  readonly zeroCount: string;
  readonly negative: Readonly<Record<string, string>>;
  readonly positive: Readonly<Record<string, string>>;
  readonly timestamp: string;
}

interface RawSpan {
  readonly offset: number;
  readonly length: number;
}

function bucketsOf(spans: readonly RawSpan[] = [], deltas: readonly string[] = []): Record<string, string> {
  const buckets: Record<string, string> = {};
  let index = 0;
  let at = 0;
  let count = 0n;
  for (const { offset, length } of spans) {
    index += offset;
    for (let i = 0; i < length; i++) {
      count += BigInt(deltas[at++] ?? 0);
      if (count !== 0n) buckets[index] = String(count);
      index++;
    }
  }
  if (at !== deltas.length) throw new Error(`spans of ${at} buckets with ${deltas.length} deltas`);
  return buckets;
}

/** Decodes a native histogram; throws when its spans and deltas do not fit together. */
export function readHistogram(bytes: Uint8Array): WireHistogram {
  const raw = histogram.toObject(histogram.decode(bytes), { longs: String, defaults: true });
  return {
    count: raw["count_int"],
    sum: BigInt(raw["sum"]).toString(16).padStart(16, "0"),
    schema: raw["schema"],
    zeroThreshold: raw["zero_threshold"],
    zeroCount: raw["zero_count_int"],
    negative: bucketsOf(raw["negative_spans"], raw["negative_deltas"]),
    positive: bucketsOf(raw["positive_spans"], raw["positive_deltas"]),
    timestamp: raw["timestamp"],
  };
}
