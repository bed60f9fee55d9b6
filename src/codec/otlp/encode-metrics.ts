/** Encodes points as ExportMetricsServiceRequests by gathering what was encoded once per resource, scope, metric and attribute. */

import { ByteWriter } from "../../kernels/byte-writer.ts";
import type { MetricsSegment, PointExemplar, PointsSegment } from "../../model/batch.ts";
import type { OtlpRequest, OtlpSegment } from "../../model/otlp-request.ts";
import { type EncodedHeaders, encodedHeaders, writeAttributes } from "./encoded-headers.ts";
import { joinRequests } from "./join-requests.ts";
import {
  type LayoutGroups,
  layoutGroups,
  type MetricRows,
  type ResourceRows,
  type ScopeRows,
} from "./layout-groups.ts";
import { type ExemplarFields, PointWriter } from "./point-writer.ts";

/** The tag of the exemplars in the points of each kind; summaries have none. */
const exemplarTags: Readonly<Record<PointsSegment["kind"], number>> = {
  number: 0x2a,
  histogram: 0x42,
  exponential_histogram: 0x5a,
  summary: 0,
};

/** A segment being written, with what its layout remembers. */
interface Source {
  readonly segment: PointsSegment;
  readonly groups: LayoutGroups;
  readonly exemplars: ExemplarFields;
}

interface Part<T> {
  readonly source: Source;
  readonly group: T;
}

/** Holds a buffer; one for each exporter. Not to be shared between threads, and no call overlaps another. */
export class MetricsEncoder {
  readonly #writer = new PointWriter();

  /**
   * One request with everything in the segments. What nobody opened is copied as it is, in front; segments in the samples
   * form are assembled. Resources and scopes that come in several segments become one. Empty segments give an empty request.
   */
  encode(segments: readonly (MetricsSegment | OtlpSegment)[]): OtlpRequest {
    const requests: OtlpRequest[] = [];
    const points: PointsSegment[] = [];
    for (const segment of segments) {
      if (segment.form === "otlp") requests.push(segment.request);
      else if (segment.form === "points") points.push(segment);
      else points.push(...segment.layout.origin.points(segment));
    }
    if (points.length > 0) requests.push(this.encodePoints(points));
    return joinRequests("metrics", requests);
  }

  /** One request with the points of all segments, which share their identity tables. The bytes are the caller's. */
  encodePoints(segments: readonly PointsSegment[]): OtlpRequest {
    const first = segments[0];
    if (first === undefined) return { signal: "metrics", bytes: new Uint8Array(), items: 0 };
    const headers = encodedHeaders(first.layout.identities);
    const writer = this.#writer;
    writer.reset();
    writer.useTables(first.layout.identities);
    let items = 0;
    const resources = new Map<number, Part<ResourceRows>[]>();
    for (const segment of segments) {
      items += segment.to - segment.from;
      const source = { segment, groups: layoutGroups(segment.layout), exemplars: exemplarFields(segment) };
      for (const group of source.groups.resources) {
        if (group.scopes.some((scope) => scope.metrics.some((metric) => isInside(source, metric)))) {
          addPart(resources, group.resource, { source, group });
        }
      }
    }
    for (const [id, parts] of resources) this.#resource(headers, id, parts);
    return { signal: "metrics", bytes: Buffer.from(writer.bytes.subarray(0, writer.at)), items };
  }

  #resource(headers: EncodedHeaders, id: number, parts: readonly Part<ResourceRows>[]): void {
    const scopes = new Map<number, Part<ScopeRows>[]>();
    let size = 0;
    for (const { source, group } of parts) {
      for (const scope of group.scopes) {
        addPart(scopes, scope.scope, { source, group: scope });
        for (const metric of scope.metrics) size += metric.size;
      }
    }
    const header = headers.resource(id);
    const guess = size + header.length;
    const start = this.#writer.open(0x0a, guess);
    this.#writer.raw(header);
    for (const [scope, scopeParts] of scopes) this.#scope(headers, scope, scopeParts);
    this.#writer.close(start, guess);
  }

  #scope(headers: EncodedHeaders, id: number, parts: readonly Part<ScopeRows>[]): void {
    const inside: Part<MetricRows>[] = [];
    for (const { source, group } of parts) {
      for (const metric of group.metrics) if (isInside(source, metric)) inside.push({ source, group: metric });
    }
    if (inside.length === 0) return;
    const header = headers.scope(id);
    const guess = header.length + inside.reduce((size, { group }) => size + group.size, 0);
    const start = this.#writer.open(0x12, guess);
    this.#writer.raw(header);
    for (const { source, group } of inside) this.#metric(headers, source, group);
    this.#writer.close(start, guess);
  }

  #metric(headers: EncodedHeaders, source: Source, { metric, from, to, size }: MetricRows): void {
    const writer = this.#writer;
    const header = headers.metric(metric);
    const guess = size + header.head.length;
    const start = writer.open(0x12, guess);
    writer.raw(header.head);
    const data = writer.open(header.dataTag, size);
    writer.raw(header.data);
    const { segment, groups, exemplars } = source;
    if (segment.kind === "number") writer.numbers(segment, groups, from, to, exemplars);
    else {
      for (let i = from; i < to; i++) {
        const place = groups.order[i] as number;
        if (place < segment.from || place >= segment.to) continue;
        const row = place - segment.from;
        if (segment.kind === "histogram") writer.histogram(segment, groups, row, exemplars?.get(row));
        else if (segment.kind === "summary") writer.summary(segment, groups, row);
        else writer.exponential(segment, groups, row, exemplars?.get(row));
      }
    }
    writer.close(data, size);
    writer.close(start, guess);
  }
}

/** Whether some row of the metric is in the segment. */
function isInside({ segment, groups }: Source, { from, to }: MetricRows): boolean {
  if (segment.from === 0 && segment.to === groups.order.length) return true;
  const { order } = groups;
  if ((order[from] as number) >= segment.to || (order[to - 1] as number) < segment.from) return false;
  for (let i = from; i < to; i++) {
    const place = order[i] as number;
    if (place >= segment.from && place < segment.to) return true;
  }
  return false;
}

function addPart<T>(parts: Map<number, Part<T>[]>, id: number, part: Part<T>): void {
  const known = parts.get(id);
  if (known === undefined) parts.set(id, [part]);
  else known.push(part);
}

/** The exemplars of a segment as encoded fields, by row. */
function exemplarFields({ exemplars, kind }: PointsSegment): ExemplarFields {
  if (exemplars === undefined || exemplars.length === 0) return undefined;
  const byRow = new Map<number, ByteWriter>();
  for (const exemplar of exemplars) {
    let writer = byRow.get(exemplar.row);
    if (writer === undefined) {
      writer = new ByteWriter(128);
      byRow.set(exemplar.row, writer);
    }
    writer.bytesField(exemplarTags[kind], encodeExemplar(exemplar));
  }
  return new Map(Array.from(byRow, ([row, writer]) => [row, writer.view()]));
}

/** An Exemplar message. */
function encodeExemplar(exemplar: PointExemplar): Uint8Array {
  const writer = new ByteWriter(128);
  if (exemplar.timeUnixNano !== 0n) writeFixed(writer, 0x11, exemplar.timeUnixNano);
  if (typeof exemplar.value === "number") {
    writer.varint(0x19);
    writer.double(exemplar.value);
  }
  if (exemplar.spanId.length > 0) writer.bytesField(0x22, exemplar.spanId);
  if (exemplar.traceId.length > 0) writer.bytesField(0x2a, exemplar.traceId);
  if (typeof exemplar.value === "bigint") writeFixed(writer, 0x31, BigInt.asUintN(64, exemplar.value));
  writeAttributes(writer, 0x3a, exemplar.filteredAttributes);
  return writer.view();
}

function writeFixed(writer: ByteWriter, tag: number, value: bigint): void {
  writer.varint(tag);
  writer.reserve(8);
  writer.length = writer.bytes.writeBigUInt64LE(value, writer.length);
}
