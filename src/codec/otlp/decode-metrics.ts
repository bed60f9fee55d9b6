/** Decodes metrics requests into points, so that a client that keeps its shape keeps its layouts. */

import { hashBytes } from "../../kernels/hash-bytes.ts";
import { readVarint, varintBytes } from "../../kernels/otlp-bytes.ts";
import type { PointsSegment } from "../../model/batch.ts";
import type { Identities } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import type { PointsLayout } from "../../model/layout.ts";
import type { OtlpRequest, RequestShape } from "../../model/otlp-request.ts";
import type { MetricType } from "../../model/series.ts";
import { KnownLayouts } from "./known-layouts.ts";
import { KnownParts } from "./known-parts.ts";
import type { PointRows } from "./point-rows.ts";
import { skipField } from "./read-parts.ts";
import { PointsReader } from "./read-points.ts";
import { RequestShapes } from "./request-shapes.ts";
import { shapedPoints } from "./shaped-points.ts";
import { openRequest } from "./walk-request.ts";
import { WireReader } from "./wire-reader.ts";

/** By kind of data; number points belong to gauges and sums. */
const dataTypes: readonly (MetricType | undefined)[] = [undefined, "histogram", "exponential_histogram", "summary"];

/** What stood at each row of the last request that began like this one: tried first, so that nothing is hashed. */
interface Shape {
  readonly regions: Uint32Array[];
  readonly layouts: (PointsLayout | undefined)[];
  metrics: number[];
  /** The last sweep before it was used. */
  readonly epoch: number;
}

/** Rows of shapes, all together; above it all are forgotten. */
const maxShapeRows = 1 << 23;

const noNumbers = new Uint32Array();
const noShape: Shape = { regions: [], layouts: [], metrics: [], epoch: 0 };

/**
 * One for each set of identity tables, used by all that receive. Requests must have been walked.
 * Within a resource, points come out by kind; in each kind in the order of the request, and so do the resources.
 */
export class MetricsDecoder {
  readonly #identities: Identities;
  readonly #parts: KnownParts;
  readonly #layouts: KnownLayouts;
  readonly #reader: PointsReader;
  readonly #rows: readonly PointRows[];
  readonly #shapes = new Map<number, Shape>();
  readonly #requestShapes: RequestShapes;
  readonly #shaped = new WeakMap<RequestShape, ReturnType<typeof shapedPoints>>();
  #shapeRows = 0;
  #epoch = 0;
  #bytes: Uint8Array = new Uint8Array();
  #view: DataView = new DataView(new ArrayBuffer(0));
  #shape = noShape;
  #metrics: number[] = [];
  #temporality = 0;
  #isMonotonic = 0;

  constructor(identities: Identities) {
    this.#identities = identities;
    this.#requestShapes = new RequestShapes(identities.hashKey);
    this.#parts = new KnownParts(identities);
    this.#layouts = new KnownLayouts(identities);
    this.#reader = new PointsReader(this.#parts.regions);
    const { numbers, histograms, exponentials, summaries } = this.#reader;
    this.#rows = [numbers, histograms, exponentials, summaries];
    identities.beforeSweep(() => this.#forgetUnused());
    identities.onSweep(() => this.#forget());
  }

  /** Bytes that the decoder remembers encoded identities with. */
  get byteLength(): number {
    return this.#parts.regions.byteLength + this.#shapeRows * 4 + this.#requestShapes.byteLength;
  }

  /** The request that these bytes are, with its shape where that is known. Throws DecodeError as `openRequest` does. */
  open(bytes: Uint8Array): { readonly request: OtlpRequest; readonly shape: RequestShape | undefined } {
    const shape = this.#requestShapes.match(bytes);
    if (shape !== undefined) return { request: { signal: "metrics", bytes, items: shape.items }, shape };
    const request = openRequest("metrics", bytes);
    return { request, shape: this.#requestShapes.learn(bytes, request.items) };
  }

  /** The points of a request: for each resource at most one segment of each kind. Throws TableFullError when an identity table is full. */
  decode(bytes: Uint8Array, shape?: RequestShape): PointsSegment[] {
    this.#requestShapes.isWanted = true;
    return (shape === undefined ? undefined : this.#shapedPoints(shape)?.(bytes)) ?? this.#decode(bytes);
  }

  /** What reads requests of a shape without looking at anything but times and values. */
  #shapedPoints(shape: RequestShape): ReturnType<typeof shapedPoints> {
    if (!this.#shaped.has(shape)) {
      this.#shaped.set(
        shape,
        shapedPoints(shape, (bytes) => this.#decode(bytes)),
      );
    }
    return this.#shaped.get(shape);
  }

  #decode(bytes: Uint8Array): PointsSegment[] {
    if (this.#parts.regions.isFull || this.#shapeRows > maxShapeRows) this.#forget();
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#reader.use(bytes, this.#view);
    const segments: PointsSegment[] = [];
    try {
      const reader = new WireReader(bytes);
      while (reader.next()) if (reader.field === 1) this.#resource(reader.message(), segments);
    } finally {
      for (const rows of this.#rows) rows.reset();
      this.#reader.release();
      this.#bytes = new Uint8Array();
      this.#shape = noShape;
    }
    return segments;
  }

  /** Lets go of the shapes and layouts of clients that sent nothing since the last sweep. */
  #forgetUnused(): void {
    this.#requestShapes.forgetUnused();
    for (const [key, { epoch, regions }] of this.#shapes) {
      if (epoch === this.#epoch) continue;
      for (const { length } of regions) this.#shapeRows -= length;
      this.#shapes.delete(key);
    }
    this.#layouts.forgetUnused();
    this.#epoch++;
  }

  #forget(): void {
    this.#parts.clear();
    this.#shapes.clear();
    this.#shapeRows = 0;
  }

  #resource(reader: WireReader, segments: PointsSegment[]): void {
    const scopes: WireReader[] = [];
    const content: Uint8Array[] = [];
    let schemaUrl: Uint8Array | undefined;
    while (reader.next()) {
      if (reader.field === 1) content.push(reader.content());
      else if (reader.field === 2) scopes.push(reader.message());
      else if (reader.field === 3) schemaUrl = reader.content();
    }
    const resource = this.#parts.resource(content, schemaUrl);
    let key = none;
    for (const scope of scopes) {
      const part = this.#readScope(scope);
      if (key === none && part.metrics.length > 0) {
        key = this.#shapeKey(resource, part.scope, part.metrics[0] as number);
        this.#shape = this.#shapes.get(key) ?? noShape;
        this.#metrics = [];
      }
      for (let i = 0; i < part.metrics.length; i += 2) {
        this.#metric(resource, part.scope, part.metrics[i] as number, part.metrics[i + 1] as number);
      }
    }
    if (key === none) return;
    const { hashKey } = this.#identities;
    // A Resource that comes in several fields is hashed as the lanes of unopened requests see it: by its first.
    const lane = hashBytes(hashKey, content[0] ?? noBytes, 0, content[0]?.length ?? 0);
    this.#finish(key, lane, segments);
  }

  #readScope(reader: WireReader): { scope: number; metrics: number[] } {
    const metrics: number[] = [];
    const content: Uint8Array[] = [];
    let schemaUrl: Uint8Array | undefined;
    while (reader.next()) {
      if (reader.field === 2) metrics.push(reader.start, reader.stop);
      else if (reader.field === 1) content.push(reader.content());
      else if (reader.field === 3) schemaUrl = reader.content();
    }
    return { scope: this.#parts.scope(content, schemaUrl), metrics };
  }

  /** Of what a request begins with: resource, scope and the name of the first metric. Never `none`. */
  #shapeKey(resource: number, scope: number, metricAt: number): number {
    const end = this.#bytes[metricAt] === 0x0a ? skipField(this.#bytes, metricAt) : metricAt;
    const name = hashBytes(this.#identities.hashKey, this.#bytes, metricAt, end);
    return ((Math.imul(resource, 0x9e3779b1) ^ Math.imul(scope, 0x85ebca6b) ^ name) >>> 0) + 1;
  }

  #metric(resource: number, scope: number, start: number, end: number): void {
    const bytes = this.#bytes;
    let kind = -1;
    let type: MetricType = "gauge";
    let firstRow = 0;
    let headerFrom = start;
    let headerTo = start;
    let scattered: Uint8Array[] | undefined;
    this.#temporality = 0;
    this.#isMonotonic = 0;
    for (let at = start; at < end; ) {
      const from = at;
      const tag = bytes[at] as number;
      at = skipField(bytes, at);
      const data = tag === 0x2a || tag === 0x3a ? 0 : tag === 0x4a ? 1 : tag === 0x52 ? 2 : tag === 0x5a ? 3 : -1;
      if (data >= 0) {
        if (kind < 0) firstRow = (this.#rows[data] as PointRows).length;
        kind = data;
        type = tag === 0x2a ? "gauge" : tag === 0x3a ? "sum" : (dataTypes[data] as MetricType);
        this.#data(data, from + 1 + varintBytes(bytes, from + 1), at);
      } else if (from === headerTo) headerTo = at;
      else {
        scattered ??= [];
        scattered.push(bytes.subarray(headerFrom, headerTo));
        headerFrom = from;
        headerTo = at;
      }
    }
    if (kind < 0) return;
    const place = this.#metrics.length;
    const expected = this.#shape.metrics[place] ?? none;
    const header = this.#header(headerFrom, headerTo, scattered, expected);
    this.#metrics.push(header);
    const metric = this.#parts.metric(header, type, this.#temporality, this.#isMonotonic);
    this.#resolve(kind, firstRow, resource, scope, metric);
  }

  #header(from: number, to: number, scattered: Uint8Array[] | undefined, expected: number): number {
    const { regions } = this.#parts;
    if (scattered === undefined) return regions.find(this.#bytes, this.#view, from, to, expected);
    const joined = Buffer.concat([...scattered, this.#bytes.subarray(from, to)]);
    const view = new DataView(joined.buffer, joined.byteOffset, joined.length);
    return regions.find(joined, view, 0, joined.length, expected);
  }

  /** The points in a Gauge, Sum, Histogram, ExponentialHistogram or Summary. */
  #data(kind: number, start: number, end: number): void {
    const [bytes, reader] = [this.#bytes, this.#reader];
    const rows = this.#rows[kind] as PointRows;
    const expected = this.#shape.regions[kind] ?? noNumbers;
    for (let at = start; at < end; ) {
      const tag = bytes[at] as number;
      if (tag !== 0x0a) {
        if (tag === 0x10) this.#temporality = readVarint(bytes, at + 1);
        else if (tag === 0x18) this.#isMonotonic = readVarint(bytes, at + 1) === 0 ? 0 : 1;
        at = skipField(bytes, at);
        continue;
      }
      let from = at + 2;
      let length = bytes[at + 1] as number;
      if (length >= 0x80) {
        length = readVarint(bytes, at + 1);
        from = at + 1 + varintBytes(bytes, at + 1);
      }
      at = from + length;
      const region = rows.length < expected.length ? (expected[rows.length] as number) : none;
      if (kind === 0) reader.number(from, at, region);
      else if (kind === 1) reader.histogram(from, at, region);
      else if (kind === 2) reader.exponential(from, at, region);
      else reader.summary(from, at, region);
    }
  }

  /** Names the series of the rows from `firstRow` on. */
  #resolve(kind: number, firstRow: number, resource: number, scope: number, metric: number): void {
    const { regions } = this.#parts;
    const identities = this.#identities;
    const table = identities.series;
    const rows = this.#rows[kind] as PointRows;
    const expected = this.#shape.layouts[kind]?.series ?? noNumbers;
    for (let row = firstRow; row < rows.length; row++) {
      const set = regions.attributeSet(rows.regions[row] as number);
      if (row < expected.length) {
        const series = expected[row] as number;
        const { items } = table;
        const at = table.offsets[series] as number;
        if (items[at + 3] === set && items[at + 2] === metric && items[at + 1] === scope && items[at] === resource) {
          rows.series[row] = series;
          continue;
        }
      }
      rows.series[row] = identities.internSeriesParts(resource, scope, metric, set);
    }
  }

  /** Makes the segments of a resource and remembers their shape. */
  #finish(key: number, lane: number, segments: PointsSegment[]): void {
    const before = this.#shape;
    const after: Shape = { regions: [], layouts: [], metrics: this.#metrics, epoch: this.#epoch };
    let rowCount = 0;
    for (const [kind, rows] of this.#rows.entries()) {
      after.regions.push(noNumbers);
      after.layouts.push(undefined);
      if (rows.length === 0) continue;
      const known = before.layouts[kind];
      const layout =
        known !== undefined && known.lane === lane && isPrefix(rows.series, known.series, rows.length)
          ? known
          : this.#layouts.find(rows.series, rows.length, lane);
      const regions = before.regions[kind] ?? noNumbers;
      after.layouts[kind] = layout;
      after.regions[kind] = isPrefix(rows.regions, regions, rows.length) ? regions : rows.regions.slice(0, rows.length);
      rowCount += rows.length;
      segments.push(rows.segment(layout));
      rows.reset();
    }
    for (const regions of before.regions) rowCount -= regions.length;
    this.#shapeRows += rowCount;
    this.#shapes.set(key, after);
  }
}

const noBytes = new Uint8Array();

/** Whether `list` is all of `rows[0..length)`. */
function isPrefix(rows: Uint32Array, list: Uint32Array, length: number): boolean {
  if (list.length !== length) return false;
  for (let i = 0; i < length; i++) if (rows[i] !== list[i]) return false;
  return true;
}
