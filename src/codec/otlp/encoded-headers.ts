/** The encoded heads of resources, scopes and metrics by their numbers, encoded once. */

import { ByteWriter } from "../../kernels/byte-writer.ts";
import { type Attributes, encodeKeyValue } from "../../model/attributes.ts";
import type { Identities } from "../../model/identities.ts";
import type { Metric } from "../../model/series.ts";

/** The number of a metric's data field in Metric, as a tag. */
const dataTags: Readonly<Record<Metric["type"], number>> = {
  gauge: 0x2a,
  sum: 0x3a,
  histogram: 0x4a,
  exponential_histogram: 0x52,
  summary: 0x5a,
};
const temporalityNumbers: Readonly<Record<Metric["temporality"], number>> = {
  none: 0,
  unspecified: 0,
  delta: 1,
  cumulative: 2,
};

export interface MetricHeader {
  /** Name, description, unit and metadata. */
  readonly head: Uint8Array;
  readonly dataTag: number;
  /** Temporality and monotonicity: what stands in the data beside the points. */
  readonly data: Uint8Array;
}

export class EncodedHeaders {
  readonly #identities: WeakRef<Identities>;
  #resources: (Uint8Array | undefined)[] = [];
  #scopes: (Uint8Array | undefined)[] = [];
  #metrics: (MetricHeader | undefined)[] = [];

  constructor(identities: Identities) {
    this.#identities = new WeakRef(identities);
    identities.onSweep(() => {
      this.#resources = [];
      this.#scopes = [];
      this.#metrics = [];
    });
  }

  get #tables(): Identities {
    const identities = this.#identities.deref();
    if (identities === undefined) throw new ReferenceError("the identity tables are gone");
    return identities;
  }

  /** The fields `resource` and `schema_url` of a ResourceMetrics. */
  resource(id: number): Uint8Array {
    let header = this.#resources[id];
    if (header === undefined) {
      const entry = this.#tables.resources.get(id);
      const body = new ByteWriter(256);
      writeAttributes(body, 0x0a, this.#tables.attributes(entry.attributes));
      writeCount(body, 0x10, entry.droppedAttributesCount);
      if (entry.entityRefs !== undefined) body.raw(Buffer.from(entry.entityRefs, "base64"));
      header = withSchema(body, entry.schemaUrl);
      this.#resources[id] = header;
    }
    return header;
  }

  /** The fields `scope` and `schema_url` of a ScopeMetrics. */
  scope(id: number): Uint8Array {
    let header = this.#scopes[id];
    if (header === undefined) {
      const entry = this.#tables.scopes.get(id);
      const body = new ByteWriter(256);
      writeText(body, 0x0a, entry.name);
      writeText(body, 0x12, entry.version);
      writeAttributes(body, 0x1a, this.#tables.attributes(entry.attributes));
      writeCount(body, 0x20, entry.droppedAttributesCount);
      header = withSchema(body, entry.schemaUrl);
      this.#scopes[id] = header;
    }
    return header;
  }

  metric(id: number): MetricHeader {
    let header = this.#metrics[id];
    if (header === undefined) {
      const metric = this.#tables.metrics.get(id);
      const head = new ByteWriter(256);
      writeText(head, 0x0a, metric.name);
      writeText(head, 0x12, metric.description);
      writeText(head, 0x1a, metric.unit);
      writeAttributes(head, 0x62, metric.metadata);
      const data = new ByteWriter(16);
      writeCount(data, 0x10, temporalityNumbers[metric.temporality]);
      writeCount(data, 0x18, metric.isMonotonic ? 1 : 0);
      header = { head: head.copy(), dataTag: dataTags[metric.type], data: data.copy() };
      this.#metrics[id] = header;
    }
    return header;
  }
}

const known = new WeakMap<Identities, EncodedHeaders>();

/** The headers of these tables, made at the first call. */
export function encodedHeaders(identities: Identities): EncodedHeaders {
  let headers = known.get(identities);
  if (headers === undefined) {
    headers = new EncodedHeaders(identities);
    known.set(identities, headers);
  }
  return headers;
}

function withSchema(body: ByteWriter, schemaUrl: string): Uint8Array {
  const header = new ByteWriter(body.length + 64);
  header.bytesField(0x0a, body.view());
  writeText(header, 0x1a, schemaUrl);
  return header.copy();
}

function writeText(writer: ByteWriter, tag: number, text: string): void {
  if (text !== "") writer.stringField(tag, text);
}

function writeCount(writer: ByteWriter, tag: number, count: number): void {
  if (count === 0) return;
  writer.varint(tag);
  writer.varint(count);
}

/** Attributes as repeated KeyValue fields. */
export function writeAttributes(writer: ByteWriter, tag: number, attributes: Attributes): void {
  const pair = new ByteWriter(64);
  for (const [key, value] of attributes) {
    pair.reset();
    encodeKeyValue(pair, key, value);
    writer.bytesField(tag, pair.view());
  }
}
