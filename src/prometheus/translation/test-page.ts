/** Builds samples segments for tests from rows that read like data. */

import type { SampleExemplar, SamplesSegment } from "../../model/batch.ts";
import { Identities, type Label } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import { SamplesLayout } from "../../model/layout.ts";
import type { Family, FamilyType } from "../../model/series.ts";
import { compareUtf8 } from "../relabel/compare-utf8.ts";
import { createScrapeOrigin, type ScrapeOrigin, type ScrapeOriginOptions } from "./scrape-origin.ts";

export interface PageRow {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value?: number;
  readonly stale?: boolean;
  readonly timestampMs?: number;
  readonly family?: Partial<Family> & { readonly type: FamilyType };
  readonly exemplar?: Omit<SampleExemplar, "row">;
}

export const testTimeMs = 1_700_000_000_123;

const target: readonly Label[] = [
  ["instance", "example.org:9100"],
  ["job", "node"],
];

export function testOrigin(options: Partial<ScrapeOriginOptions> = {}): ScrapeOrigin & { identities: Identities } {
  const identities = options.identities ?? new Identities();
  const origin = createScrapeOrigin({
    lane: 1,
    targetLabels: target,
    discoveredLabels: [["__scheme__", "http"]],
    scopeName: "scraper",
    scopeVersion: "1.2.3",
    ...options,
    identities,
  });
  return Object.assign(origin, { identities });
}

/** The rows as a segment; `job` and `instance` are added where a row does not name them. */
export function testSegment(
  rows: readonly PageRow[],
  origin: ScrapeOrigin & { identities: Identities } = testOrigin(),
): SamplesSegment {
  const { identities } = origin;
  const labels = rows.map((row) => {
    const all = Object.entries({ ...Object.fromEntries(target), ...row.labels, __name__: row.name });
    return identities.internLabels(all.filter(([, value]) => value !== "").sort(([a], [b]) => compareUtf8(a, b)));
  });
  const families = rows.map(({ name, family }) =>
    family === undefined ? none : identities.internFamily({ name, exposedName: name, help: "", unit: "", ...family }),
  );
  const layout = new SamplesLayout(
    identities,
    { labels: Uint32Array.from(labels), families: Uint32Array.from(families) },
    origin,
  );
  const exemplars = rows.flatMap(({ exemplar }, row) => (exemplar === undefined ? [] : [{ ...exemplar, row }]));
  const stale = rows.map((row) => (row.stale === true ? 1 : 0));
  return {
    form: "samples",
    layout,
    from: 0,
    to: rows.length,
    values: Float64Array.from(rows, (row) => row.value ?? 0),
    stale: stale.includes(1) ? (stale.includes(0) ? Uint8Array.from(stale) : true) : false,
    timestampMs: testTimeMs,
    timestampsMs: rows.some((row) => row.timestampMs !== undefined)
      ? Float64Array.from(rows, (row) => row.timestampMs ?? testTimeMs)
      : undefined,
    exemplars: exemplars.length === 0 ? undefined : exemplars,
  };
}

/** A row of a family: `member("foo", "histogram", "_bucket", { le: "1" }, 3)`. */
export function member(
  family: string,
  type: FamilyType,
  suffix: string,
  labels: Readonly<Record<string, string>>,
  value: number,
): PageRow {
  const name = family + suffix;
  return { name, labels, value, family: { name: family, exposedName: name, type } };
}

/** Rows as `name{label="value",...} value`, `stale` for markers, with the time behind `@` when it is not the usual. */
export function describeRows(segments: readonly SamplesSegment[]): string[] {
  return segments.flatMap((segment) =>
    Array.from({ length: segment.to - segment.from }, (_, row) => {
      const set = segment.layout.labels?.[segment.from + row] as number;
      const labels = segment.layout.identities.labels(set);
      const name = labels.find(([label]) => label === "__name__")?.[1] ?? "";
      const rest = labels.filter(([label]) => label !== "__name__").map(([label, value]) => `${label}="${value}"`);
      const stale = typeof segment.stale === "boolean" ? segment.stale : segment.stale[row] === 1;
      const time = segment.timestampsMs?.[row] ?? segment.timestampMs;
      const value = segment.values[row] as number;
      const shown = stale ? "stale" : Object.is(value, -0) ? "-0" : String(value);
      const exemplars = (segment.exemplars ?? []).filter((exemplar) => exemplar.row === row);
      const shownExemplars = exemplars
        .map((exemplar) => ` # ${JSON.stringify({ ...exemplar, row: undefined })}`)
        .join("");
      return `${name}{${rest.join(",")}} ${shown}${time === testTimeMs ? "" : `@${time}`}${shownExemplars}`;
    }),
  );
}
