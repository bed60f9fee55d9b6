/** The origin of scraped rows: gives their layouts the OTLP reading and assembles their points, as otelcol-contrib does. */

import type { PointsSegment, SamplesSegment } from "../../model/batch.ts";
import type { Identities, Label } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import type { Origin, OtlpReading, SamplesLayout } from "../../model/layout.ts";
import { assemblePoints, type Dropped } from "./assemble-points.ts";
import { NameMemory } from "./name-memory.ts";
import { LayoutReader, type PageInfo, scopeInfoName, targetInfoName } from "./read-layout.ts";

/** The scope name under which otelcol-contrib hands on what it scraped. */
export const contribScopeName = "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver";

/** Jobs and instances, and scopes, of one page whose descriptions are kept for layouts without. */
const maxInfos = 10_000;

const noInfo: PageInfo = { targets: new Map(), scopes: new Map() };

export interface ScrapeOriginOptions {
  /** Small number that is the same for all rows of the target. */
  readonly lane: number;
  readonly identities: Identities;
  /** The target's labels after relabeling; `job` and `instance` stand in for rows that have none of their own. */
  readonly targetLabels: readonly Label[];
  /** The target's labels before relabeling: `__scheme__`, `__meta_*`. */
  readonly discoveredLabels: readonly Label[];
  readonly scopeName: string;
  readonly scopeVersion: string;
  readonly trimMetricSuffixes?: boolean;
  /** Hears of points that `points` leaves out. */
  readonly dropped?: Dropped;
}

/** An origin with what the receiver needs besides. */
export interface ScrapeOrigin extends Origin {
  /**
   * To be told of every new page layout before its report rows are handed on. True when the `target_info` or the
   * `otel_scope_info` of the target has changed: layouts without such rows (the report, stale markers) that were read
   * before then name the old resource or scope and must be made anew.
   */
  learn(layout: SamplesLayout): boolean;
  /**
   * Why a layout has rows that belong to no resource, or undefined when all do. otelcol-contrib fails such a scrape;
   * `read` leaves the rows without a series. Costs nothing while the target itself has a job and an instance.
   */
  problem(layout: SamplesLayout): string | undefined;
}

export function createScrapeOrigin(options: ScrapeOriginOptions): ScrapeOrigin {
  const labels = new Map(options.targetLabels);
  const source = {
    identities: options.identities,
    job: labels.get("job") ?? "",
    instance: labels.get("instance") ?? "",
    discoveredLabels: options.discoveredLabels,
    scopeName: options.scopeName,
    scopeVersion: options.scopeVersion,
    trimMetricSuffixes: options.trimMetricSuffixes ?? false,
  };
  const names = new NameMemory();
  const dropped: Dropped = options.dropped ?? (() => {});
  let info = noInfo;
  let isTaught = false;
  let page: SamplesLayout | undefined;

  // Until somebody teaches, what was read last is the best guess for layouts without such rows.
  const merged = (own: PageInfo | undefined): PageInfo => {
    if (own === undefined) return info;
    const isFull = info.targets.size > maxInfos || info.scopes.size > maxInfos;
    const all = isFull
      ? own
      : {
          targets: new Map([...info.targets, ...own.targets]),
          scopes: new Map([...info.scopes, ...own.scopes]),
        };
    if (!isTaught) info = all;
    return all;
  };

  return {
    lane: options.lane,
    read(layout: SamplesLayout): OtlpReading {
      const reader = new LayoutReader(source, layout);
      return reader.read(merged(reader.pageInfo()), names, page);
    },
    points(segment: SamplesSegment): PointsSegment[] {
      return assemblePoints(segment, dropped);
    },
    learn(layout: SamplesLayout): boolean {
      const before = infoKey(info);
      isTaught = true;
      page = layout;
      info = new LayoutReader(source, layout).pageInfo() ?? noInfo;
      return infoKey(info) !== before;
    },
    problem(layout: SamplesLayout): string | undefined {
      if (source.job !== "" && source.instance !== "") return undefined;
      const { series } = layout.reading();
      const labelled = layout.labels?.some((set, row) => series[row] === none && !isInfo(options.identities, set));
      return labelled === true ? "job or instance cannot be found from labels" : undefined;
    },
  };
}

function isInfo(identities: Identities, labelSet: number): boolean {
  const name = identities.labels(labelSet).find(([label]) => label === "__name__")?.[1];
  return name === targetInfoName || name === scopeInfoName;
}

function infoKey({ targets, scopes }: PageInfo): string {
  return JSON.stringify([targets, scopes].map((info) => [...info].map(([key, labels]) => [key, [...labels]])));
}
