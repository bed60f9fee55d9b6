/**
 * The differences to otelcol-contrib that are meant: faults that Millrace does not repeat. Every rule says in which case, for
 * which series and with which values, so that it covers nothing else, and every rule has to be seen.
 */

import type { MeantDifference, RunDifference } from "./run-compare.ts";
import { firstKept } from "./run-meant-firsts.ts";
import { headings } from "./run-meant-headings.ts";
import { meantKeys } from "./run-meant-keys.ts";

type CaseRule = (difference: RunDifference) => boolean;

function isStale(values: readonly string[] | undefined): boolean {
  return values?.length === 1 && values[0] === "stale";
}

/** A sum whose count has its marker, of a histogram; otelcol-contrib sends nothing. */
const staleSum: CaseRule = ({ key, peer, own, form, ownView }) => {
  const sum = /^([^{]*)_sum(\{.*)$/.exec(key);
  if (form !== "series" || peer !== undefined || !isStale(own) || sum === null) return false;
  const isHistogram = [...ownView].some(([other, values]) => other.startsWith(`${sum[1]}_bucket{`) && isStale(values));
  return isHistogram && isStale(ownView.get(`${sum[1]}_count${sum[2]}`));
};

/** Where the bucket of bound 2 of `coming_histograms` has just left, and its histogram lives on. */
function lostBucket({ name, slot }: RunDifference): boolean {
  const at = Number(slot);
  return name === "coming_histograms" && at % 3 === 1 && at % 4 !== 0;
}

const staleBucket: CaseRule = (difference) => {
  const { key, form, peer, own } = difference;
  if (!lostBucket(difference) || form !== "series" || !/^(spaced_)?h_bucket\{.*le="2"/.test(key)) return false;
  return isStale(own) && peer?.join() === String(2 ** 63);
};

const pointWithoutBucket: CaseRule = (difference) => {
  const { key, slot, form, peer, own } = difference;
  if (!lostBucket(difference) || form !== "points" || !key.startsWith("h{")) return false;
  const noCount = 2n ** 63n;
  return (
    own?.join() === `{bucketCounts: ["${slot}","0"], count: "${slot}", explicitBounds: [1], sum: ${slot}}` &&
    peer?.join() ===
      `{bucketCounts: ["${slot}","${noCount}","${noCount}"], count: "${slot}", explicitBounds: [1,2], sum: ${slot}}`
  );
};

/** The exemplar that `exemplars` serves in a slot for the series of the key, without its time. */
function servedExemplar(key: string, slot: number): string | undefined {
  // Two hexadecimal digits are the end of a trace id.
  const traceId = (text: string) => (text.length === 2 ? text.padStart(32, "0") : text);
  const each = /each="(\w+)"/.exec(key)?.[1] ?? /le="([^"]*)"/.exec(key)?.[1] ?? "";
  const texts: Readonly<Record<string, string>> = {
    slot: `{trace_id="t${slot}"} ${slot}.5`,
    same: '{trace_id="same"} 1',
    timed: `{trace_id="t${slot}"} 1`,
    third: `{a="1",b="${slot}"} 2`,
    empty: "{} 3",
    long: slot % 2 === 0 ? `{l="${"x".repeat(127)}"} ${slot}` : `{} ${slot}`,
    turns: `{t="${slot % 2}"} 1`,
    "1": `{trace_id="${traceId(`b${slot}`)}"} 0.5`,
    "+Inf": `{trace_id="${traceId(`c${slot}`)}"} 5`,
  };
  return texts[each];
}

const lostExemplars: CaseRule = ({ name, slot, key, form, peer, own }) => {
  if (name !== "external_exemplars" || own?.length !== 1) return false;
  const [value = ""] = own;
  if (form === "points") return peer?.length === 1 && value.startsWith(`${peer[0]} exemplars {`);
  const text = servedExemplar(key, Number(slot.replace("@", "")));
  return key.startsWith("exemplar of ") && peer === undefined && /^(.*) (of the scrape|\d+)$/.exec(value)?.[1] === text;
};

/** In otelcol-contrib all rows of `renamed_families` are gauges; here they are a counter and a histogram. */
const renamedPoint: CaseRule = ({ name, slot, key, form, peer, own, ownView }) => {
  if (name !== "renamed_families" || form !== "points") return false;
  const isGauge = key.includes('kind: "gauge"');
  const metric = /^(new_\w+)\{/.exec(key)?.[1] ?? "";
  const le = /le: "([^"]*)"/.exec(key)?.[1];
  const find = (start: string, kind: string) =>
    [...ownView.keys()].some((other) => other.startsWith(start) && other.includes(`kind: "${kind}"`));
  if (!find("new_requests_total{", "sum") || !find("new_seconds{", "histogram")) return false;
  const gauges = new Map([
    ["new_requests_total", slot],
    ["new_seconds_bucket", le === "1.0" ? "1" : "2"],
    ["new_seconds_sum", "1"],
    ["new_seconds_count", slot],
  ]);
  if (isGauge) return own === undefined && peer?.join() === `{asDouble: ${gauges.get(metric)}}`;
  const expected =
    metric === "new_requests_total"
      ? `{asDouble: ${slot}}`
      : `{bucketCounts: ["1","${Number(slot) - 1}"], count: "${slot}", explicitBounds: [1], sum: 1}`;
  return peer === undefined && own?.join() === expected;
};

/** Bounds of gauges keep their spelling, and the last bucket of a histogram is made of its count. */
const renamedBucket: CaseRule = ({ name, slot, key, form, peer, own, ownView }) => {
  if (name !== "renamed_families" || form !== "series" || !/^(spaced_)?new_seconds_bucket\{/.test(key)) return false;
  if (key.includes('le="+Inf"')) return peer?.join() === "2" && own?.join() === slot;
  if (key.includes('le="1.0"')) {
    return peer?.join() === "1" && own === undefined && ownView.has(key.replace('le="1.0"', 'le="1"'));
  }
  return key.includes('le="1"') && peer === undefined && own?.join() === "1";
};

/** All differences that are meant. */
export const meantDifferences: readonly MeantDifference[] = [
  { heading: headings.stale, what: "the marker of a histogram's sum", covers: staleSum },
  { heading: headings.stale, what: "the marker of a bucket that left", covers: staleBucket },
  { heading: headings.stale, what: "points without the bucket that left", covers: pointWithoutBucket },
  ...firstKept,
  { heading: headings.externalExemplars, what: "exemplars beside external labels", covers: lostExemplars },
  { heading: headings.rename, what: "points of renamed metrics", covers: renamedPoint },
  { heading: headings.rename, what: "buckets of a renamed histogram", covers: renamedBucket },
];

/** Families whose metadata differs. */
const meantMetadata = [{ heading: headings.rename, what: "metadata of renamed metrics", family: /^new_/ }];

/** The lines about metadata that no meant difference explains; what the others are about is added to `seen`. */
export function unexplainedMetadata(lines: readonly string[], seen: Set<string>): string[] {
  return lines.filter((line) => {
    const entry = line.slice(line.indexOf(": ") + 2);
    const rule = meantMetadata.find(({ family }) => family.test(entry));
    if (rule !== undefined) seen.add(rule.what);
    return rule === undefined;
  });
}

/** What all rules are about, for the check that each is seen. */
export const meantRules: readonly string[] = [...meantDifferences, ...meantMetadata, ...meantKeys].map(
  ({ what }) => what,
);

/** The headings of docs/differences.md that rules stand for. */
export const meantHeadings: readonly string[] = Object.values(headings);
