/** Where of several samples of a series the first is kept: what pages serve, in their order, and what both make of it. */

import { pageCases } from "./cases-pages.ts";
import type { MeantDifference, RunDifference } from "./run-compare.ts";
import { headings } from "./run-meant-headings.ts";
import type { ExpectedSample } from "./scrape-oracle.ts";

type Value = number | "stale";

/** What is written of a series in a slot; undefined: the rule says nothing about it. */
type Written = (slot: number, key: string) => readonly Value[] | undefined;

interface Kept {
  readonly what: string;
  readonly names: readonly string[];
  /** The beginning of the key, without the namespace of the `changed` pipeline, and more of it. */
  readonly series: RegExp;
  /** Only this output; all when left out. */
  readonly output?: readonly string[];
  /** Slots of explicit timestamps. */
  readonly explicit?: true;
  /** What is kept: what was served first. */
  readonly own: Written;
  readonly peer: Written;
}

/** Cases whose samples are known in the order in which they are served. */
const served = new Map(pageCases().map(({ name, expected }) => [name, expected]));

/** Labels that the processors of the `changed` pipeline leave as they are. */
const keptLabels = ["code", "kind", "version", "text"];

function labelsOf(key: string): Map<string, string> {
  const pairs = key.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g);
  return new Map(Array.from(pairs, ([, name = "", value = ""]) => [name, value]));
}

/** The samples of a case that the `changed` pipeline gives the key, and how many of those before them have gone. */
function servedUnder(name: string, slot: number, key: string): { values: number[]; gone: number } {
  const labels = labelsOf(key);
  const metric = /^spaced_(\w+)\{/.exec(key)?.[1];
  const samplesAt = (at: number): readonly ExpectedSample[] => {
    const samples = served.get(name)?.(at);
    return samples === undefined || samples === "down" ? [] : samples;
  };
  const isOfKey = (sample: ExpectedSample) =>
    sample.name === metric && keptLabels.every((label) => labels.get(label) === sample.labels?.[label]);
  const idOf = (sample: ExpectedSample) => JSON.stringify([sample.name, sample.labels]);
  const living = new Set(samplesAt(slot).map(idOf));
  return {
    values: samplesAt(slot)
      .filter(isOfKey)
      .map(({ value }) => value),
    gone: samplesAt(slot - 1).filter((sample) => isOfKey(sample) && !living.has(idOf(sample))).length,
  };
}

function processed(name: string): Kept {
  return {
    what: `series of ${name} that a processor makes equal`,
    names: [name],
    output: ["changed"],
    series: /./,
    own: (slot, key) => {
      const { values, gone } = servedUnder(name.replace(/^external_/, ""), slot, key);
      return values.length > 0 ? values.slice(0, 1) : gone > 0 ? ["stale"] : undefined;
    },
    peer: (slot, key) => {
      const { values, gone } = servedUnder(name.replace(/^external_/, ""), slot, key);
      return [...values, ...new Array<Value>(gone).fill("stale")];
    },
  };
}

/** What a row of the `histograms` case says; it is the same for both paths. */
function histogramValue(slot: number, key: string): number | undefined {
  const suffix = /_(bucket|sum|count)\{/.exec(key)?.[1];
  if (suffix === "sum") return slot + 0.25;
  if (suffix === "count") return slot * 2 + 3;
  const counts = new Map([
    ["0.005", slot],
    ["0.5", slot * 2],
    ["1", slot * 2 + 1],
    ["1000000", slot * 2 + 1],
    ["+Inf", slot * 2 + 3],
  ]);
  return counts.get(labelsOf(key).get("le") ?? "");
}

function times(count: number, value: Value | undefined): readonly Value[] | undefined {
  return value === undefined ? undefined : new Array<Value>(count).fill(value);
}

/** Values that `spellings` serves for each number, in their order; infinity is made of the count. */
const spelledBuckets = new Map([
  ["-0", []],
  ["0", [0]],
  ["1", [2, 3, 7]],
]);

const kept: readonly Kept[] = [
  {
    what: "labels in another order",
    names: ["duplicates"],
    series: /^other\{/,
    own: (slot) => [slot],
    peer: (slot) => [slot + 2],
  },
  {
    what: "labels with blanks between",
    names: ["duplicates"],
    series: /^spaced\{/,
    own: (slot) => [slot],
    peer: (slot) => [slot + 3],
  },
  {
    what: "an empty label",
    names: ["duplicates"],
    series: /^empty\{/,
    own: (slot) => [slot],
    peer: (slot) => [slot + 4],
  },
  {
    what: "series that lose the label that told them apart",
    names: ["merged"],
    series: /^m\{/,
    own: (slot) => [slot],
    peer: () => [5],
  },
  {
    what: "an empty label beside series that have it",
    names: ["external_conflict"],
    series: /^c\{(?!.*(cluster|replica)[=:])/,
    own: () => [1],
    peer: () => [3],
  },
  {
    what: "external labels in the place of those of the page",
    names: ["external_external_conflict"],
    series: /^c\{.*cluster(=|: )"e2e"/,
    own: (slot) => [slot],
    peer: () => [3],
  },
  {
    what: "empty job and instance",
    names: ["target_info_of_others"],
    series: /^hits_total\{[\s\S]*(job=|service_name=|service\.name: )"target_info_of_others"/,
    own: (slot) => [slot],
    peer: (slot) => [slot + 1],
  },
  {
    what: "one series with two explicit times",
    names: ["two_times"],
    explicit: true,
    series: /^twice\{/,
    own: () => [1, 2],
    peer: () => [1],
  },
  {
    what: "one series with and without an explicit time",
    names: ["two_times"],
    explicit: true,
    series: /^mixed\{/,
    own: () => [2],
    peer: () => [],
  },
  {
    what: "target_info at the newest of several times",
    names: ["two_times"],
    explicit: true,
    series: /^target_info\{/,
    own: () => [1],
    peer: () => [],
  },
  {
    what: "target_info at the time of the scrape beside several times",
    names: ["two_times"],
    series: /^target_info\{/,
    own: () => [],
    peer: () => [1],
  },
  {
    what: "an explicit time beside the marker of the series",
    names: ["timestamps_honored"],
    series: /^sometimes\{/,
    own: (slot) => (slot % 3 === 0 ? ["stale"] : undefined),
    peer: () => [],
  },
  {
    what: "a marker of a series that goes on without the label that a processor takes away",
    names: ["relabeled"],
    output: ["changed"],
    series: /^hashed\{/,
    own: (slot) => [slot],
    peer: (slot) => [slot, "stale"],
  },
  {
    what: "two counters with one name in Prometheus",
    names: ["folded_counters"],
    output: ["whole"],
    series: /^second_total\{(?!.*a="2")/,
    own: () => [2],
    peer: (slot) => [2, slot],
  },
  {
    what: "gauges of several scopes, which are left out",
    names: ["folded_gauges"],
    output: ["changed"],
    series: /^scoped\{/,
    own: () => [1],
    peer: () => [1, 3],
  },
  {
    what: "counters of several scopes, which are left out",
    names: ["scopes"],
    output: ["changed"],
    series: /^calls_total\{(?!.*x="1")/,
    own: (slot) => [slot],
    peer: (slot) => [slot, slot + 1, slot, slot, slot],
  },
  {
    what: "names that lose their units",
    names: ["trimmed_units"],
    output: ["changed", "plain"],
    series: /^some\{/,
    own: (slot) => [slot],
    peer: (slot) => times(14, slot),
  },
  {
    what: "histograms that a processor makes equal",
    names: ["histograms", "trimmed_histograms"],
    output: ["changed"],
    series: /^req_seconds_(bucket|sum|count)\{/,
    own: (slot, key) => times(1, histogramValue(slot, key)),
    peer: (slot, key) => times(2, histogramValue(slot, key)),
  },
  {
    what: "bounds that are one number",
    names: ["spellings"],
    output: ["whole", "changed", "plain"],
    series: /^h_bucket\{.*le="(-0|0|1)"/,
    own: (_, key) => spelledBuckets.get(labelsOf(key).get("le") ?? "")?.slice(0, 1),
    peer: (_, key) => {
      const le = labelsOf(key).get("le") ?? "";
      return le === "-0" ? [14] : spelledBuckets.get(le);
    },
  },
  {
    what: "a bound that is infinity in another spelling",
    names: ["spellings"],
    output: ["whole", "changed", "plain"],
    series: /^h_bucket\{.*le="\+Inf"/,
    own: (slot) => [slot],
    peer: (slot) => [9, slot],
  },
  {
    what: "quantiles that are one number",
    names: ["spellings"],
    output: ["whole", "changed", "plain"],
    series: /^s\{.*quantile="0.5"/,
    own: () => [0],
    peer: () => [0, 1],
  },
  ...["plain", "zipped", "zipped_in_pieces", "in_pieces", "not_zipped", "external_plain", "churn", "large"].map(
    processed,
  ),
];

function isWritten(
  values: readonly string[] | undefined,
  expected: readonly Value[] | undefined,
  isPoint: boolean,
): boolean {
  if (expected === undefined) return false;
  const texts = expected.map((value) =>
    !isPoint ? String(value) : value === "stale" ? "{flags: 1}" : `{asDouble: ${value}}`,
  );
  return [...(values ?? [])].sort().join("\n") === texts.sort().join("\n");
}

function covers(rule: Kept, { output, name, slot, key, form, own, peer }: RunDifference): boolean {
  if (!rule.names.includes(name) || !rule.series.test(key.replace(/^spaced_/, ""))) return false;
  if (slot.startsWith("@") !== (rule.explicit === true) || rule.output?.includes(output) === false) return false;
  const at = Number(slot.replace("@", ""));
  const isPoint = form === "points";
  return isWritten(own, rule.own(at, key), isPoint) && isWritten(peer, rule.peer(at, key), isPoint);
}

/** The points of `spellings`: bounds that are one number stand there once, each with what was served for it first. */
const spelledPoints: readonly MeantDifference[] = [
  {
    heading: headings.first,
    what: "points with bounds that are one number",
    covers: ({ name, slot, key, form, own, peer }) => {
      if (name !== "spellings" || form !== "points" || !key.startsWith("h{")) return false;
      const last = BigInt.asUintN(64, BigInt(slot) - 13n);
      return (
        own?.join() ===
          `{bucketCounts: ["0","4","18446744073709551613","1","4","18446744073709551615","5","2","1","${last}"], count: "${slot}", explicitBounds: [0,1e-7,0.5,1,2.5,100000,"NaN",5e-324,1e+21], sum: ${slot}}` &&
        peer?.join() ===
          `{bucketCounts: ["14","18446744073709551602","12","18446744073709551608","18446744073709551613","1","1","4","18446744073709551615","3","1","18446744073709551611","8","${last}"], count: "${slot}", explicitBounds: [-0,0,5e-324,1e-7,0.5,1,1,1,2.5,"Infinity","NaN",100000,1e+21], sum: ${slot}}`
      );
    },
  },
  {
    heading: headings.first,
    what: "points with quantiles that are one number",
    covers: ({ name, key, form, own, peer }) =>
      name === "spellings" &&
      form === "points" &&
      key.startsWith("s{") &&
      own?.join() ===
        '{count: "2", quantileValues: [{quantile: 0.1, value: 4},{quantile: 0.5},{quantile: 0.9, value: 2},{quantile: 1, value: 3}], sum: 1}' &&
      peer?.join() ===
        '{count: "2", quantileValues: [{quantile: 0.1, value: 4},{quantile: 0.5},{quantile: 0.5, value: 1},{quantile: 0.9, value: 2},{quantile: 1, value: 3}], sum: 1}',
  },
];

/** One rule for each kind of repeated sample. */
export const firstKept: readonly MeantDifference[] = [
  ...kept.map((rule) => ({
    heading: headings.first,
    what: rule.what,
    covers: (difference: RunDifference) => covers(rule, difference),
  })),
  ...spelledPoints,
];
