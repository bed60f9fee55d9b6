/** From a discovered label set to something that can be scraped: defaults, relabeling, checks, URL, identity. */

import { hash } from "node:crypto";
import { LabelsBuilder } from "../relabel/labels-builder.ts";
import type { RelabelProgram } from "../relabel/relabel.ts";
import type { Labels, TargetGroup } from "./target-group.ts";
import { buildTargetUrl, type TargetUrl } from "./target-url.ts";

/** Labels sorted by the UTF-8 bytes of their names, none of them empty. */
export type SortedLabels = readonly (readonly [name: string, value: string])[];

/** What a scrape configuration gives to each of its targets. */
export interface TargetDefaults {
  readonly jobName: string;
  /** Printed as Prometheus prints durations: it becomes the label `__scrape_interval__`. */
  readonly scrapeIntervalText: string;
  readonly scrapeTimeoutText: string;
  readonly metricsPath: string;
  readonly scheme: string;
  readonly params: Readonly<Record<string, readonly string[]>>;
  readonly convertClassicHistogramsToNhcb: boolean;
  readonly alwaysScrapeClassicHistograms: boolean;
  readonly scrapeNativeHistograms: boolean;
}

/** A target that can be scraped. */
export interface ScrapeTarget {
  /** Equal for two targets exactly when all their remaining labels and their URLs are. */
  readonly identity: string;
  /** Labels of its samples: those whose names do not begin with two underscores. */
  readonly labels: SortedLabels;
  /** All remaining labels, internal ones such as `__address__` included. */
  readonly allLabels: SortedLabels;
  /** All labels before relabeling. */
  readonly discoveredLabels: SortedLabels;
  readonly url: TargetUrl;
  readonly scrapeIntervalMs: number;
  /** At most the interval. */
  readonly scrapeTimeoutMs: number;
  readonly convertClassicHistogramsToNhcb: boolean;
  readonly alwaysScrapeClassicHistograms: boolean;
  readonly scrapeNativeHistograms: boolean;
  /** The socket to dial in place of the address. */
  readonly unixSocketPath: string | undefined;
}

export type PopulatedTarget =
  | { readonly kind: "target"; readonly target: ScrapeTarget }
  | { readonly kind: "dropped"; readonly discoveredLabels: SortedLabels }
  | { readonly kind: "error"; readonly message: string };

/** Milliseconds of a Prometheus duration, or undefined when the text is none. */
export type ParseDuration = (text: string) => number | undefined;

/** Everything about a job that makes targets of label sets. */
export interface TargetRules {
  readonly defaults: TargetDefaults;
  /** The compiled `relabel_configs`. */
  readonly program: RelabelProgram;
  readonly parseDuration: ParseDuration;
}

const paramPrefix = "__param_";
/** Longest part of a value that an error message repeats. */
const maxShownLength = 200;

/** Turns one label set of a group into a target, a dropped target or an error, in exactly Prometheus' order. */
export function populateTarget(groupLabels: Labels, targetLabels: Labels, rules: TargetRules): PopulatedTarget {
  const builder = new LabelsBuilder();
  discoverLabels(builder, groupLabels, targetLabels, rules.defaults);
  const discoveredLabels = builder.sortedEntries();
  if (!rules.program.apply(builder)) return { kind: "dropped", discoveredLabels };
  try {
    return { kind: "target", target: buildTarget(builder, discoveredLabels, rules) };
  } catch (error) {
    if (error instanceof TargetFault) return { kind: "error", message: error.message };
    throw error;
  }
}

/** Why a label set is no target. */
class TargetFault extends Error {}

function discoverLabels(builder: LabelsBuilder, group: Labels, target: Labels, defaults: TargetDefaults): void {
  for (const [name, value] of Object.entries(target)) builder.set(name, value);
  for (const [name, value] of Object.entries(group)) {
    if (!Object.hasOwn(target, name)) builder.set(name, value);
  }
  const scrapeLabels = [
    ["job", defaults.jobName],
    ["__scrape_interval__", defaults.scrapeIntervalText],
    ["__scrape_timeout__", defaults.scrapeTimeoutText],
    ["__metrics_path__", defaults.metricsPath],
    ["__scheme__", defaults.scheme],
    ["__convert_classic_histograms_to_nhcb__", String(defaults.convertClassicHistogramsToNhcb)],
    ["__always_scrape_classic_histograms__", String(defaults.alwaysScrapeClassicHistograms)],
    ["__scrape_native_histograms__", String(defaults.scrapeNativeHistograms)],
  ] as const;
  for (const [name, value] of scrapeLabels) if (!builder.has(name)) builder.set(name, value);
  for (const [name, [first]] of Object.entries(defaults.params)) {
    if (first !== undefined && !builder.has(paramPrefix + name)) builder.set(paramPrefix + name, first);
  }
}

function buildTarget(builder: LabelsBuilder, discoveredLabels: SortedLabels, rules: TargetRules): ScrapeTarget {
  const { defaults, parseDuration } = rules;
  const address = checkAddress(builder.get("__address__"));
  const timing = readTiming(builder, parseDuration);
  const flags = {
    convertClassicHistogramsToNhcb: readFlag(
      builder,
      "__convert_classic_histograms_to_nhcb__",
      defaults.convertClassicHistogramsToNhcb,
    ),
    alwaysScrapeClassicHistograms: readFlag(
      builder,
      "__always_scrape_classic_histograms__",
      defaults.alwaysScrapeClassicHistograms,
    ),
    scrapeNativeHistograms: readFlag(builder, "__scrape_native_histograms__", defaults.scrapeNativeHistograms),
  };
  for (const [name] of builder) if (name.startsWith("__meta_")) builder.delete(name);
  if (!builder.has("instance")) builder.set("instance", address);
  const allLabels = builder.sortedEntries();
  for (const [name, value] of allLabels) {
    if (!value.isWellFormed()) throw new TargetFault(`invalid label value for ${show(name)}: ${show(value)}`);
  }
  const params = scrapeParams(allLabels, defaults.params);
  const url = buildTargetUrl(builder.get("__scheme__"), address, builder.get("__metrics_path__"), params);
  return {
    identity: identify(allLabels, url.href),
    labels: allLabels.filter(([name]) => !name.startsWith("__")),
    allLabels,
    discoveredLabels,
    url,
    ...timing,
    ...flags,
    unixSocketPath: builder.has("__unix_socket__") ? builder.get("__unix_socket__") : undefined,
  };
}

function checkAddress(address: string): string {
  if (address === "") throw new TargetFault("no address");
  if (address.includes("/")) throw new TargetFault(`${show(address)} is not a valid hostname`);
  return address;
}

function readTiming(builder: LabelsBuilder, parseDuration: ParseDuration) {
  const read = (name: string, what: string): number => {
    const text = builder.get(name);
    const ms = parseDuration(text);
    if (ms === undefined) throw new TargetFault(`error parsing ${what}: not a valid duration string: ${show(text)}`);
    if (ms === 0) throw new TargetFault(`${what} cannot be 0`);
    return ms;
  };
  const scrapeIntervalMs = read("__scrape_interval__", "scrape interval");
  const scrapeTimeoutMs = read("__scrape_timeout__", "scrape timeout");
  if (scrapeTimeoutMs > scrapeIntervalMs) {
    const texts = `${show(builder.get("__scrape_timeout__"))} > ${show(builder.get("__scrape_interval__"))}`;
    throw new TargetFault(`scrape timeout cannot be greater than scrape interval (${texts})`);
  }
  return { scrapeIntervalMs, scrapeTimeoutMs };
}

/** Reads a label by the rules of Go's `strconv.ParseBool`; one that a rule deleted leaves the job's setting. */
function readFlag(builder: LabelsBuilder, name: string, unset: boolean): boolean {
  const text = builder.get(name);
  if (text === "") return unset;
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false;
  throw new TargetFault(`expected true or false in label ${name}, got ${show(text)}`);
}

/** The configured parameters, the first value of each replaced by its `__param_` label. */
function scrapeParams(labels: SortedLabels, configured: TargetDefaults["params"]): Map<string, readonly string[]> {
  const params = new Map(Object.entries(configured));
  for (const [name, value] of labels) {
    if (!name.startsWith(paramPrefix)) continue;
    const key = name.slice(paramPrefix.length);
    params.set(key, [value, ...(params.get(key) ?? []).slice(1)]);
  }
  return params;
}

function identify(labels: SortedLabels, href: string): string {
  return hash("sha256", JSON.stringify([href, labels]), "base64url");
}

function show(text: string): string {
  return JSON.stringify(text.length > maxShownLength ? `${text.slice(0, maxShownLength)}...` : text);
}

/** A label set that is no target, and where it came from. */
export interface TargetFailure {
  readonly source: string;
  /** Position within the group, from 0. */
  readonly index: number;
  readonly message: string;
}

/** What the groups of one job amount to. */
export interface ResolvedTargets {
  /** By identity; of duplicates the first stays. */
  readonly targets: ReadonlyMap<string, ScrapeTarget>;
  readonly droppedCount: number;
  /** Discovered labels of dropped targets, at most as many as were asked for. */
  readonly dropped: readonly SortedLabels[];
  readonly failures: readonly TargetFailure[];
}

/** Makes the targets of a job. Keeps at most `maxDropped` dropped label sets, all of them when it is 0. */
export function resolveTargets(groups: readonly TargetGroup[], rules: TargetRules, maxDropped = 0): ResolvedTargets {
  const targets = new Map<string, ScrapeTarget>();
  const dropped: SortedLabels[] = [];
  const failures: TargetFailure[] = [];
  let droppedCount = 0;
  const drop = (discoveredLabels: SortedLabels) => {
    droppedCount++;
    if (maxDropped === 0 || dropped.length < maxDropped) dropped.push(discoveredLabels);
  };
  for (const group of groups) {
    for (const [index, labels] of group.targets.entries()) {
      const populated = populateTarget(group.labels, labels, rules);
      if (populated.kind === "error") failures.push({ source: group.source, index, message: populated.message });
      else if (populated.kind === "dropped") drop(populated.discoveredLabels);
      else if (!targets.has(populated.target.identity)) targets.set(populated.target.identity, populated.target);
    }
  }
  return { targets, droppedCount, dropped, failures };
}
