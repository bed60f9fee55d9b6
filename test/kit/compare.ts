/** Compares what two scrapers wrote about the same pages, slot by slot, and both with what was served. */

import type { PageExporter } from "./page-exporter.ts";
import { type RecordedSeries, type SinkPath, seriesKey } from "./recording-sink.ts";
import { bitsOf, showBits, staleBits, type ValueBits, type WireMetadata } from "./remote-write-message.ts";
import { type ExpectedSample, type OracleCase, ScrapeLog, slotMs } from "./scrape-oracle.ts";

/** A scraper by the first word of its User-Agent, with what it wrote. */
export interface Written {
  readonly scraper: string;
  readonly sink: SinkPath;
}

/** What is compared. */
export interface Comparison {
  readonly cases: readonly OracleCase[];
  readonly exporters: ReadonlyMap<string, PageExporter>;
  /** The peer, which is right. */
  readonly peer: Written;
  readonly own: Written;
  /** Slots from 0 to this one, exclusive. */
  readonly slots: number;
}

/** What was found. */
export interface ComparisonReport {
  readonly differences: string[];
  /** Slots that were compared. */
  readonly compared: number;
  /** Slots that one of the two did not scrape exactly once, as after a pause of the machine. */
  readonly disturbed: string[];
}

/** Values of one case: by slot, then by series; explicit ones by timestamp. */
interface CaseView {
  readonly slots: Map<number, Map<string, ValueBits[]>>;
  readonly explicit: Map<string, string[]>;
  readonly exemplars: Map<string, string[]>;
  /** Number of scrapes by slot. */
  readonly scrapes: Map<number, number>;
}

/** Pages carry explicit timestamps that are this many slots old at most. */
const latest = 4;

const timedByMachine = new Set(["scrape_duration_seconds"]);

/** Compares case by case. */
export function compareScrapes(comparison: Comparison): ComparisonReport {
  const log = new ScrapeLog([...new Set(comparison.exporters.values())]);
  const report: ComparisonReport = { differences: [], compared: 0, disturbed: [] };
  let compared = 0;
  for (const one of comparison.cases) {
    const peer = viewCase(comparison, log, comparison.peer, one);
    const own = viewCase(comparison, log, comparison.own, one);
    const clean = (slot: number) =>
      slot > 0 &&
      [slot - 2, slot - 1, slot].every((k) => k < 0 || (peer.scrapes.get(k) === 1 && own.scrapes.get(k) === 1));
    for (let slot = 0; slot < comparison.slots; slot++) {
      if (!clean(slot)) {
        report.disturbed.push(
          `${one.name}[${slot}]: peer ${peer.scrapes.get(slot) ?? 0}, own ${own.scrapes.get(slot) ?? 0} scrapes`,
        );
        continue;
      }
      compared++;
      compareSlot(report, `${one.name}[${slot}]`, peer.slots.get(slot), own.slots.get(slot));
      if (one.expected === undefined) continue;
      for (const [title, view] of [["peer", peer] as const, ["own", own] as const])
        compareWithServed(report, `${one.name}[${slot}] ${title}`, one, slot, view.slots.get(slot));
    }
    // What a page says of an earlier slot is written by the first scrape that sees it: all that may see it must be clean.
    const isSettled = (text: string) => {
      const at = Number(/@(?:slot )?(\d+)$/.exec(text)?.[1]);
      const slot = at < comparison.slots ? at : (comparison.exporters.get(one.name)?.slotAt(one.name, at) ?? -1);
      if (slot + latest >= comparison.slots) return false;
      for (let later = slot; later <= slot + latest; later++) if (!clean(later)) return false;
      return true;
    };
    compareLists(report, `${one.name} explicit timestamps`, peer.explicit, own.explicit, isSettled);
    compareLists(report, `${one.name} exemplars`, peer.exemplars, own.exemplars, isSettled);
  }
  return { ...report, compared };
}

function viewCase(comparison: Comparison, log: ScrapeLog, { scraper, sink }: Written, one: OracleCase): CaseView {
  const exporter = comparison.exporters.get(one.name);
  if (exporter === undefined) throw new Error(`no exporter for ${one.name}`);
  const view: CaseView = { slots: new Map(), explicit: new Map(), exemplars: new Map(), scrapes: new Map() };
  const startMs = exporter.slotStartMs(one.name, 0);
  const slotOf = (timestampMs: number) =>
    log.at(scraper, one.name, timestampMs)?.slot ?? exporter.slotAt(one.name, timestampMs);
  const isExplicit = (timestampMs: number) => one.explicit === true && (timestampMs - startMs) % slotMs === 0;
  const inScenario = (slot: number) => slot >= 0 && slot < comparison.slots;
  for (const series of sink.find({ case: one.name })) {
    const isUp = series.labels.get("__name__") === "up";
    for (const { bits, timestampMs } of series.samples) {
      if (isExplicit(timestampMs)) {
        if (inScenario((timestampMs - startMs) / slotMs))
          append(view.explicit, series.key, `${showBits(bits)}@${(timestampMs - startMs) / slotMs}`);
        continue;
      }
      const slot = slotOf(timestampMs);
      if (isUp) view.scrapes.set(slot, (view.scrapes.get(slot) ?? 0) + 1);
      if (!inScenario(slot)) continue;
      const values = view.slots.get(slot) ?? new Map<string, ValueBits[]>();
      view.slots.set(slot, values);
      append(values, series.key, bits);
    }
    for (const text of exemplarTexts(series, slotOf, inScenario)) append(view.exemplars, series.key, text);
  }
  return view;
}

/** Exemplars with the slot of their scrape, or the timestamp that they carried. */
function exemplarTexts(
  { exemplars, samples }: RecordedSeries,
  slotOf: (timestampMs: number) => number,
  inScenario: (slot: number) => boolean,
): string[] {
  const scrapes = new Set(samples.map(({ timestampMs }) => timestampMs));
  const texts: string[] = [];
  for (const { labels, bits, timestampMs } of exemplars) {
    const slot = slotOf(timestampMs);
    if (!inScenario(slot)) continue;
    const when = scrapes.has(timestampMs) ? `slot ${slot}` : `${timestampMs}`;
    texts.push(`${seriesKey(labels)} ${showBits(bits)} @${when}`);
  }
  return texts;
}

/** Differences that are meant: each a rule of ours that `docs/differences.md` states. */
const meant: Record<string, (peer: readonly ValueBits[], own: readonly ValueBits[]) => boolean> = {
  "of samples with the same labels and time the first is kept": (peer, own) =>
    peer.length > 1 && own.length === 1 && peer[0] === own[0],
};

function isMeant(peer: readonly ValueBits[] = [], own: readonly ValueBits[] = []): boolean {
  return Object.values(meant).some((rule) => rule(peer, own));
}

function compareSlot(
  report: ComparisonReport,
  where: string,
  peer: ReadonlyMap<string, readonly ValueBits[]> = new Map(),
  own: ReadonlyMap<string, readonly ValueBits[]> = new Map(),
): void {
  for (const key of new Set([...peer.keys(), ...own.keys()])) {
    const timed = timedByMachine.has(key.slice(0, key.indexOf("{")));
    const show = (values: readonly ValueBits[] | undefined) =>
      values === undefined
        ? "nothing"
        : values.map((bits) => (timed && bits !== staleBits ? "a time" : showBits(bits))).join(", ");
    const [theirs, ours] = [show(peer.get(key)), show(own.get(key))];
    if (theirs !== ours && !isMeant(peer.get(key), own.get(key)))
      report.differences.push(`${where} ${key}: peer ${theirs}; own ${ours}`);
  }
}

function compareLists(
  report: ComparisonReport,
  where: string,
  peer: ReadonlyMap<string, readonly string[]>,
  own: ReadonlyMap<string, readonly string[]>,
  isSettled: (text: string) => boolean,
): void {
  for (const key of new Set([...peer.keys(), ...own.keys()])) {
    const [theirs, ours] = [peer, own].map((lists) => (lists.get(key) ?? []).filter(isSettled).join(", "));
    if (theirs !== ours) report.differences.push(`${where} ${key}:\n    peer ${theirs}\n    own  ${ours}`);
  }
}

/** Series of the page, with `up` and the stale markers of what the page before had. */
function compareWithServed(
  report: ComparisonReport,
  where: string,
  one: OracleCase,
  slot: number,
  written: ReadonlyMap<string, readonly ValueBits[]> = new Map(),
): void {
  const expected = new Map<string, ValueBits>();
  const before = slot === 0 ? [{ name: "warm", value: 1 }] : one.expected?.(slot - 1);
  const now = one.expected?.(slot);
  for (const sample of before === "down" || before === undefined ? [] : before)
    expected.set(pageSeries(sample), staleBits);
  for (const sample of now === "down" || now === undefined ? [] : now)
    expected.set(pageSeries(sample), bitsOf(sample.value));
  expected.set(pageSeries({ name: "up", value: 0 }), bitsOf(now === "down" ? 0 : 1));
  const own = new Set(["job", "instance", "case", "cluster", "replica", ...Object.keys(one.labels ?? {})]);
  const seen = new Map<string, readonly ValueBits[]>();
  for (const [key, bits] of written) {
    if (key.startsWith("scrape_")) continue;
    seen.set(withoutLabels(key, own), bits);
  }
  for (const key of new Set([...expected.keys(), ...seen.keys()])) {
    const [served, got] = [expected.get(key), seen.get(key)];
    if (got?.length !== 1 || served === undefined || !sameValue(served, got[0] ?? ""))
      report.differences.push(
        `${where} ${key}: served ${served === undefined ? "nothing" : showBits(served)}; got ${got?.map(showBits) ?? "nothing"}`,
      );
  }
}

/** A sender leaves out zeros, minus zero too: the sign is lost on the wire. */
function sameValue(a: ValueBits, b: ValueBits): boolean {
  return a === b || (showBits(a) === "-0" && showBits(b) === "0");
}

function pageSeries({ name, labels = {} }: ExpectedSample): string {
  const sorted = Object.entries(labels).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return seriesKey([{ name: "__name__", value: name }, ...sorted.map(([key, value]) => ({ name: key, value }))]);
}

/** Key of a series without the labels of its target. */
function withoutLabels(key: string, names: ReadonlySet<string>): string {
  const at = key.indexOf("{");
  const labels = key.slice(at + 1, -1).match(/(?:[^",=]+)="(?:[^"\\]|\\.)*"/g) ?? [];
  return `${key.slice(0, at)}{${labels.filter((label) => !names.has(label.slice(0, label.indexOf("=")))).join(",")}}`;
}

const comparedHeaders = ["accept", "accept-encoding", "x-prometheus-scrape-timeout-seconds", "authorization", "cookie"];

/** Differences between the requests of two scrapers to the same targets. */
export function compareRequests({ cases, exporters, peer, own }: Comparison): string[] {
  const log = new ScrapeLog([...new Set(exporters.values())]);
  const request = (scraper: string, name: string) => {
    const last = log.of(scraper, name).at(-1);
    return [
      `GET ${last?.url.replace(name, "")}`,
      ...comparedHeaders.map((header) => `${header}: ${last?.headers[header]}`),
    ];
  };
  const names = new Map<string, string[]>();
  for (const { name } of cases) {
    const [theirs, ours] = [request(peer.scraper, name), request(own.scraper, name)];
    for (const [i, line] of theirs.entries()) {
      if (line !== ours[i]) append(names, `request with:\n    peer ${line}\n    own  ${ours[i]}`, name);
    }
  }
  return [...names].map(([text, where]) => `${where.length} cases (${where.slice(0, 5).join(" ")}): ${text}`);
}

/** One line for all slots in which the same was different: the rest of the text without its slot. */
export function groupDifferences(differences: readonly string[]): string[] {
  const slots = new Map<string, string[]>();
  for (const difference of differences) {
    const match = /^(\w+)\[(\d+)\]/.exec(difference);
    if (match === null) append(slots, difference, "");
    else append(slots, `${match[1]}${difference.slice(match[0].length)}`, match[2] ?? "");
  }
  return [...slots].map(([text, at]) => (at[0] === "" ? text : `[${at.join(" ")}] ${text}`));
}

/** Differences between two sets of metadata. */
export function compareMetadata(peer: readonly WireMetadata[], own: readonly WireMetadata[]): string[] {
  const texts = (entries: readonly WireMetadata[]) =>
    new Set(
      entries.map(
        ({ family, type, help, unit }) => `${family} ${type} ${JSON.stringify(help)} ${JSON.stringify(unit)}`,
      ),
    );
  const [theirs, ours] = [texts(peer), texts(own)];
  return [
    ...[...theirs].filter((text) => !ours.has(text)).map((text) => `metadata only of the peer: ${text}`),
    ...[...ours].filter((text) => !theirs.has(text)).map((text) => `metadata only of our own: ${text}`),
  ];
}

function append<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
