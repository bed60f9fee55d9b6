/** The origin of scraped rows: gives their layouts the OTLP reading and assembles their points, as otelcol-contrib does. */

import type { PointsSegment, SamplesSegment } from "../../model/batch.ts";
import type { Identities, Label } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import type { Origin, OtlpReading, SamplesLayout } from "../../model/layout.ts";
import { assemblePoints, type Dropped } from "./assemble-points.ts";
import { LayoutReader, NameMemory, type TargetInfo } from "./read-layout.ts";

/** The scope name under which otelcol-contrib hands on what it scraped. */
export const contribScopeName = "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver";

/** Jobs and instances of one page whose `target_info` is kept for layouts without. */
const maxTargetInfos = 10_000;

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
   * To be told of every new page layout before its report rows are handed on. True when the `target_info` of the
   * target has changed: layouts without such rows (the report, stale markers) that were read before then name the
   * old resource and must be made anew.
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
  let targetInfo: TargetInfo = new Map();
  let isTaught = false;

  // Until somebody teaches, what was read last is the best guess for layouts without target_info rows.
  const merged = (own: TargetInfo | undefined): TargetInfo => {
    if (own === undefined) return targetInfo;
    const all = targetInfo.size > maxTargetInfos ? own : new Map([...targetInfo, ...own]);
    if (!isTaught) targetInfo = all;
    return all;
  };

  return {
    lane: options.lane,
    read(layout: SamplesLayout): OtlpReading {
      const reader = new LayoutReader(source, layout);
      return reader.read(merged(reader.targetInfo()), names);
    },
    points(segment: SamplesSegment): PointsSegment[] {
      return assemblePoints(segment, dropped);
    },
    learn(layout: SamplesLayout): boolean {
      const before = infoKey(targetInfo);
      isTaught = true;
      targetInfo = new LayoutReader(source, layout).targetInfo() ?? new Map();
      return infoKey(targetInfo) !== before;
    },
    problem(layout: SamplesLayout): string | undefined {
      if (source.job !== "" && source.instance !== "") return undefined;
      const { series } = layout.reading();
      const labelled = layout.labels?.some(
        (set, row) => series[row] === none && !isTargetInfo(options.identities, set),
      );
      return labelled === true ? "job or instance cannot be found from labels" : undefined;
    },
  };
}

function isTargetInfo(identities: Identities, labelSet: number): boolean {
  return identities.labels(labelSet).some(([name, value]) => name === "__name__" && value === "target_info");
}

function infoKey(info: TargetInfo): string {
  return JSON.stringify([...info].map(([key, labels]) => [key, [...labels]]));
}
