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
message Label { string name = 1; string value = 2; }
message Sample { fixed64 value = 1; int64 timestamp = 2; }
message Exemplar { repeated Label labels = 1; fixed64 value = 2; int64 timestamp = 3; }
message MetricMetadata { int32 type = 1; string metric_family_name = 2; string help = 4; string unit = 5; }
`;

const writeRequest = protobuf.parse(schema, { keepCase: true }).root.lookupType("WriteRequest");

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
  readonly histograms: number;
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
      histograms: series.histograms.length,
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
