/** Sorts the points of a batch into resources, scopes and metrics, the nesting of an OTLP request. */

import type { Attributes } from "../../model/attributes.ts";
import { type MetricsBatch, openSegments, type PointExemplar, type PointsSegment } from "../../model/batch.ts";
import type { Identities } from "../../model/identities.ts";
import type { Metric, Resource, Scope } from "../../model/series.ts";

/** One row of a points segment, counted from the segment's first row. */
export interface PointRef {
  readonly segment: PointsSegment;
  readonly row: number;
  readonly exemplars: readonly PointExemplar[];
}

export interface MetricGroup {
  readonly metric: Metric;
  readonly points: PointRef[];
}

export interface ScopeGroup {
  readonly scope: Scope;
  readonly metrics: MetricGroup[];
}

export interface ResourceGroup {
  readonly resource: Resource;
  readonly scopes: ScopeGroup[];
}

/** The points segments of a batch; segments in the samples form are assembled, those in bytes opened. */
export function batchPoints(batch: MetricsBatch): PointsSegment[] {
  return openSegments(batch).flatMap((segment) =>
    segment.form === "points" ? [segment] : segment.layout.origin.points(segment),
  );
}

/** The attributes of a point. */
export function pointAttributes({ segment, row }: PointRef): Attributes {
  const { identities, series } = segment.layout;
  const parts = identities.series.view(series[segment.from + row] as number);
  return identities.attributes(parts[3] as number);
}

/**
 * Groups in the order in which resources, scopes and metrics appear first. All segments must use the same identity
 * tables. Equal resources become one group even when they came in different segments.
 */
export function groupPoints(segments: readonly PointsSegment[]): ResourceGroup[] {
  const groups: ResourceGroup[] = [];
  const resources = new Map<number, ResourceGroup>();
  const scopes = new Map<string, ScopeGroup>();
  const metrics = new Map<string, MetricGroup>();
  for (const segment of segments) {
    const { identities, series } = segment.layout;
    const exemplars = exemplarsByRow(segment);
    for (let row = 0; row < segment.to - segment.from; row++) {
      const parts = identities.series.view(series[segment.from + row] as number);
      const [resource, scope, metric] = parts as unknown as [number, number, number];
      const metricKey = `${resource},${scope},${metric}`;
      let group = metrics.get(metricKey);
      if (group === undefined) {
        const resourceGroup = findResource(groups, resources, identities, resource);
        const scopeGroup = findScope(resourceGroup, scopes, identities, [resource, scope]);
        group = { metric: identities.metrics.get(metric), points: [] };
        scopeGroup.metrics.push(group);
        metrics.set(metricKey, group);
      }
      group.points.push({ segment, row, exemplars: exemplars.get(row) ?? [] });
    }
  }
  return groups;
}

function exemplarsByRow({ exemplars }: PointsSegment): Map<number, PointExemplar[]> {
  const byRow = new Map<number, PointExemplar[]>();
  for (const exemplar of exemplars ?? []) {
    const known = byRow.get(exemplar.row);
    if (known === undefined) byRow.set(exemplar.row, [exemplar]);
    else known.push(exemplar);
  }
  return byRow;
}

function findResource(
  groups: ResourceGroup[],
  known: Map<number, ResourceGroup>,
  identities: Identities,
  id: number,
): ResourceGroup {
  let group = known.get(id);
  if (group === undefined) {
    const entry = identities.resources.get(id);
    group = { resource: { ...entry, attributes: identities.attributes(entry.attributes) }, scopes: [] };
    known.set(id, group);
    groups.push(group);
  }
  return group;
}

function findScope(
  parent: ResourceGroup,
  known: Map<string, ScopeGroup>,
  identities: Identities,
  [resource, id]: readonly [number, number],
): ScopeGroup {
  const key = `${resource},${id}`;
  let group = known.get(key);
  if (group === undefined) {
    const entry = identities.scopes.get(id);
    group = { scope: { ...entry, attributes: identities.attributes(entry.attributes) }, metrics: [] };
    known.set(key, group);
    parent.scopes.push(group);
  }
  return group;
}
