/** How the rows of a points layout nest into resources, scopes and metrics, worked out once per layout. */

import { none } from "../../model/intern-table.ts";
import type { PointsLayout } from "../../model/layout.ts";
import { lengthBytes } from "./nested-writer.ts";

export interface MetricRows {
  readonly metric: number;
  /** Its rows are `order[from..to)` of the groups. */
  readonly from: number;
  readonly to: number;
  /** Roughly the bytes of its points. */
  readonly size: number;
}

export interface ScopeRows {
  readonly scope: number;
  readonly metrics: readonly MetricRows[];
}

export interface ResourceRows {
  readonly resource: number;
  readonly scopes: readonly ScopeRows[];
}

export interface LayoutGroups {
  /** In the order in which they come first. */
  readonly resources: readonly ResourceRows[];
  /** Rows by resource, scope and metric; within a metric they ascend. */
  readonly order: Uint32Array;
  /** By row: the attribute set, and the bytes of its attributes as fields of a point. */
  readonly sets: Uint32Array;
  readonly weights: Uint32Array;
  /** Whether eight bytes of an attribute may travel as a double: none of them has the bits of a NaN, as texts never have. */
  readonly isPlain: boolean;
}

/** Bytes of a point beside its attributes, roughly. */
const pointBytes = 40;

const known = new WeakMap<PointsLayout, LayoutGroups>();

/** The groups of a layout, remembered as long as the layout lives. */
export function layoutGroups(layout: PointsLayout): LayoutGroups {
  let groups = known.get(layout);
  if (groups === undefined) {
    groups = groupLayout(layout);
    known.set(layout, groups);
  }
  return groups;
}

/** Bytes that the attributes of a set take as fields with a tag of one byte. */
function attributeBytes({ identities }: PointsLayout, set: number): number {
  if (set === none) return 0;
  const { attributeSets, attributePairs } = identities;
  let bytes = 0;
  for (const pair of attributeSets.view(set)) {
    const length = attributePairs.lengths[pair] as number;
    bytes += 1 + lengthBytes(length) + length;
  }
  return bytes;
}

/** Whether no byte pair in the attributes of a set ends a NaN, wherever eight bytes begin. */
function hasPlainBytes({ identities }: PointsLayout, set: number): boolean {
  if (set === none) return true;
  for (const pair of identities.attributeSets.view(set)) {
    const bytes = identities.attributePairs.view(pair);
    for (let i = 1; i < bytes.length; i++) {
      if (((bytes[i] as number) & 0x7f) === 0x7f && (bytes[i - 1] as number) >= 0xf0) return false;
    }
  }
  return true;
}

interface Building {
  readonly resource: number;
  readonly scopes: Map<number, Map<number, number[]>>;
}

function groupLayout(layout: PointsLayout): LayoutGroups {
  const { series, identities } = layout;
  const sets = new Uint32Array(series.length);
  const weights = new Uint32Array(series.length);
  const resources = new Map<number, Building>();
  let isPlain = true;
  let last: { resource: number; scope: number; metric: number; rows: number[] } | undefined;
  for (let row = 0; row < series.length; row++) {
    const parts = identities.series.view(series[row] as number);
    const [resource, scope, metric, set] = parts as unknown as [number, number, number, number];
    sets[row] = set;
    weights[row] = attributeBytes(layout, set);
    isPlain &&= hasPlainBytes(layout, set);
    if (last === undefined || last.metric !== metric || last.scope !== scope || last.resource !== resource) {
      last = { resource, scope, metric, rows: metricRows(resources, resource, scope, metric) };
    }
    last.rows.push(row);
  }
  return { ...pack(resources, series.length, weights), sets, weights, isPlain };
}

function metricRows(resources: Map<number, Building>, resource: number, scope: number, metric: number): number[] {
  let building = resources.get(resource);
  if (building === undefined) {
    building = { resource, scopes: new Map() };
    resources.set(resource, building);
  }
  let metrics = building.scopes.get(scope);
  if (metrics === undefined) {
    metrics = new Map();
    building.scopes.set(scope, metrics);
  }
  let rows = metrics.get(metric);
  if (rows === undefined) {
    rows = [];
    metrics.set(metric, rows);
  }
  return rows;
}

function pack(resources: ReadonlyMap<number, Building>, length: number, weights: Uint32Array) {
  const order = new Uint32Array(length);
  let at = 0;
  const packed = [...resources.values()].map(({ resource, scopes }) => ({
    resource,
    scopes: Array.from(scopes, ([scope, metrics]) => ({
      scope,
      metrics: Array.from(metrics, ([metric, rows]) => {
        const from = at;
        let size = 0;
        for (const row of rows) {
          order[at++] = row;
          size += pointBytes + (weights[row] as number);
        }
        return { metric, from, to: at, size };
      }),
    })),
  }));
  return { resources: packed, order };
}
