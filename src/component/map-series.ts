/** Turns a pure function of a series into a processor: it runs once per series, never per point. */

import {
  type MetricsBatch,
  type MetricsSegment,
  metricsBatch,
  type OpenSegment,
  openSegments,
  type PointsSegment,
} from "../model/batch.ts";
import { type ClientInfo, contextValue } from "../model/client-info.ts";
import type { Identities } from "../model/identities.ts";
import { none } from "../model/intern-table.ts";
import { type Layout, type OtlpReading, PointsLayout, rowPart, SamplesLayout } from "../model/layout.ts";
import { selectPoints, selectSamples } from "../model/select-rows.ts";
import type { Series } from "../model/series.ts";
import type { MetricsConsumer } from "./consumer.ts";
import { MappedShapes, ShapeEdits } from "./map-shapes.ts";
import { SeriesViews } from "./series-views.ts";

/**
 * Edits a series, or drops its rows by returning undefined. Must be pure: the result is remembered. Of the client it may
 * look at the `contextKeys` of the options only.
 */
export type SeriesFunction = (series: Series, client?: ClientInfo) => Series | undefined;

export interface MapSeriesOptions {
  /** Hears of every batch how many rows were dropped. */
  dropped?(rows: number): void;
  /** What of the client of a batch the function looks at, see `contextValue`. */
  readonly contextKeys?: readonly string[] | undefined;
}

/** Clients of different values whose layouts are remembered; above it the oldest are forgotten. */
const maxContexts = 1000;

interface Mapped {
  readonly layout: Layout;
  /** Rows of the source layout that are kept, or undefined when all are. */
  readonly rows: Uint32Array | undefined;
  /** Rows of the source layout that the function dropped; not those that belong to no series. */
  readonly dropped: readonly number[];
}

/**
 * The `metrics` function of a processor that edits series. Works on either form of a segment. Layouts are mapped once
 * and remembered as long as the source layout lives.
 */
export function mapSeries(
  edit: SeriesFunction,
  options: MapSeriesOptions = {},
): (batch: MetricsBatch, next: MetricsConsumer) => Promise<void> {
  const rememberedFor = rememberLayouts(options.contextKeys ?? []);
  return async (batch, next) => {
    const { client } = batch;
    const { layouts, shapes } = rememberedFor(client);
    const mapPoints = (segment: PointsSegment) => {
      const { layout, rows, dropped } = mapLayout(layouts, segment.layout, edit, client);
      return { segment: selectPoints(segment, layout as PointsLayout, rows), dropped: countInside(dropped, segment) };
    };
    const segments: MetricsSegment[] = [];
    let dropped = 0;
    const add = (segment: MetricsSegment | undefined, rowsDropped: number) => {
      dropped += rowsDropped;
      if (segment !== undefined && segment.to > segment.from) segments.push(segment);
    };
    for (const unopened of batch.segments) {
      const edited = unopened.form === "otlp" ? shapes.map(unopened, mapPoints) : undefined;
      if (edited !== undefined) {
        add(edited.segment, edited.dropped);
        continue;
      }
      for (const segment of openSegments(metricsBatch([unopened]))) {
        if (segment.form === "points") {
          const mapped = mapPoints(segment);
          add(mapped.segment, mapped.dropped);
        } else {
          const mapped = mapLayout(layouts, segment.layout, edit, client);
          const result = selectSamples(segment, mapped.layout as SamplesLayout, mapped.rows);
          add(result, countInside(mapped.dropped, segment));
        }
      }
    }
    if (dropped > 0) options.dropped?.(dropped);
    // Without await: what waits for the answer would keep the batch that came in.
    return segments.length > 0 ? next.metrics(metricsBatch(segments, client)) : undefined;
  };
}

/** How many of the rows of a layout are in the segment. */
function countInside(rows: readonly number[], { from, to }: OpenSegment): number {
  let count = 0;
  for (const row of rows) if (row >= from && row < to) count++;
  return count;
}

type MappedLayouts = WeakMap<Layout, Mapped>;

interface Remembered {
  readonly layouts: MappedLayouts;
  /** Of requests that need not be opened. */
  readonly shapes: MappedShapes;
}

/** What was mapped for a client: the same for all whose values of these keys are equal. */
function rememberLayouts(contextKeys: readonly string[]): (client: ClientInfo | undefined) => Remembered {
  const edits = new ShapeEdits();
  const shared: Remembered = { layouts: new WeakMap(), shapes: new MappedShapes(edits) };
  if (contextKeys.length === 0) return () => shared;
  const byValues = new Map<string, Remembered>();
  return (client) => {
    const values = JSON.stringify(contextKeys.map((key) => contextValue(client, key)));
    let remembered = byValues.get(values);
    if (remembered === undefined) {
      const [oldest] = byValues.keys();
      if (byValues.size >= maxContexts && oldest !== undefined) byValues.delete(oldest);
      remembered = { layouts: new WeakMap(), shapes: new MappedShapes(edits) };
      byValues.set(values, remembered);
    }
    return remembered;
  };
}

function mapLayout(
  layouts: MappedLayouts,
  layout: Layout,
  edit: SeriesFunction,
  client: ClientInfo | undefined,
): Mapped {
  let known = layouts.get(layout);
  if (known === undefined) {
    const editSeries = (series: Series) => edit(series, client);
    known = layout.form === "samples" ? mapSamplesLayout(layout, editSeries) : mapPointsLayout(layout, editSeries);
    layouts.set(layout, known);
  }
  return known;
}

/** Runs the function once per distinct series; `none` stands for dropped. */
function mapNumbers(identities: Identities, series: Uint32Array, edit: SeriesFunction): Uint32Array {
  const results = new Map<number, number>();
  const views = new SeriesViews(identities);
  return series.map((id) => {
    if (id === none) return none;
    let result = results.get(id);
    if (result === undefined) {
      result = views.edit(id, edit) ?? none;
      results.set(id, result);
    }
    return result;
  });
}

function keptRows(series: Uint32Array): Uint32Array | undefined {
  let count = 0;
  for (const id of series) if (id !== none) count++;
  if (count === series.length) return undefined;
  const rows = new Uint32Array(count);
  let at = 0;
  for (let row = 0; row < series.length; row++) if (series[row] !== none) rows[at++] = row;
  return rows;
}

function mapSamplesLayout(layout: SamplesLayout, edit: SeriesFunction): Mapped {
  const reading = layout.reading();
  const series = mapNumbers(layout.identities, reading.series, edit);
  let unchanged = true;
  for (let row = 0; row < series.length && unchanged; row++) unchanged = series[row] === reading.series[row];
  if (unchanged) return { layout, rows: undefined, dropped: [] };
  const rows = keptRows(series);
  const pick = <T extends Uint32Array | Uint8Array>(column: T): T =>
    rows === undefined ? column : ((rows.length === 0 ? column.slice(0, 0) : gather(column, rows)) as T);
  const mapped: OtlpReading = { series: pick(series), part: pick(reading.part), bound: pick(reading.bound) };
  const families = pick(layout.families);
  return {
    layout: new SamplesLayout(layout.identities, { reading: mapped, families }, layout.origin),
    rows,
    dropped: droppedRows(reading.series, series),
  };
}

function droppedRows(before: Uint32Array, after: Uint32Array): number[] {
  const rows: number[] = [];
  for (let row = 0; row < before.length; row++) if (before[row] !== none && after[row] === none) rows.push(row);
  return rows;
}

function gather(column: Uint32Array | Uint8Array, rows: Uint32Array): Uint32Array | Uint8Array {
  const result = column instanceof Uint8Array ? new Uint8Array(rows.length) : new Uint32Array(rows.length);
  for (let i = 0; i < rows.length; i++) result[i] = column[rows[i] as number] as number;
  return result;
}

function mapPointsLayout(layout: PointsLayout, edit: SeriesFunction): Mapped {
  const series = mapNumbers(layout.identities, layout.series, edit);
  const rows = keptRows(series);
  const kept = rows === undefined ? series : (gather(series, rows) as Uint32Array);
  return {
    layout: new PointsLayout(layout.identities, kept, layout.lane),
    rows,
    dropped: droppedRows(layout.series, series),
  };
}

/** Rows of a samples layout that belong to some point. */
export function hasPoint(reading: OtlpReading, row: number): boolean {
  return reading.part[row] !== rowPart.none && reading.series[row] !== none;
}
