/** Compares what two Collectors wrote, slot by slot, and sorts out the differences that are meant. */

import { numberOf, type SinkPath } from "./recording-sink.ts";
import type { Observations, SlotFinder, SlotView } from "./run-observations.ts";

/** One series in one slot that the two wrote differently. */
export interface RunDifference {
  /** Output: a pipeline's remote write, or its file. */
  readonly output: string;
  readonly form: "series" | "points";
  readonly name: string;
  readonly slot: string;
  readonly key: string;
  /** In the order in which they were written. Undefined: not written. */
  readonly peer: readonly string[] | undefined;
  readonly own: readonly string[] | undefined;
  /** All that our own wrote of the case in this slot. */
  readonly ownView: ReadonlyMap<string, readonly string[]>;
}

/** A difference that is meant. */
export interface MeantDifference {
  /** Its heading in docs/differences.md. */
  readonly heading: string;
  /** What is written differently where; no other rule has the same words. */
  readonly what: string;
  readonly covers: (difference: RunDifference) => boolean;
}

/** What a scrape leads to depends on this many pages before it: series that it adds again, markers. */
const remembered = 2;
/** Pages carry explicit timestamps that are this many slots old at most. */
const latest = 4;

/** Seconds from which on a scrape of a page that is there is said to have waited for the machine. */
const lateS = 0.3;
/** The sample of a scrape that succeeded. */
const upBits = "3ff0000000000000";

/** Slots of a case that both scraped exactly once, as they did the ones that what they wrote there depends on. */
export function cleanSlots(
  name: string,
  slots: number,
  subjects: readonly { finder: SlotFinder; sink: SinkPath }[],
): ReadonlySet<string> {
  const scrapes = subjects.map(({ finder, sink }) => {
    const found = new Map<number, string[]>();
    for (const { samples } of sink.find({ __name__: "up", case: name })) {
      for (const { timestampMs, bits } of samples) {
        const slot = finder.slotOfScrape(name, timestampMs);
        found.set(slot, [...(found.get(slot) ?? []), bits]);
      }
    }
    return found;
  });
  const once = (slot: number) => scrapes.every((found) => found.get(slot)?.length === 1);
  const isUp = (slot: number) => scrapes.every((found) => found.get(slot)?.[0] === upBits);
  const isDown = (slot: number) => scrapes.every((found) => found.get(slot)?.[0] !== upBits);
  // A scrape that failed for one alone after a long wait is the machine's doing; any other shows.
  const late = subjects.map(({ finder, sink }) => {
    const durations = sink.find({ __name__: "scrape_duration_seconds", case: name }).flatMap(({ samples }) => samples);
    const slow = durations.filter(({ bits }) => numberOf(bits) > lateS);
    return new Set(slow.map(({ timestampMs }) => finder.slotOfScrape(name, timestampMs)));
  });
  const agrees = (slot: number) => isUp(slot) || isDown(slot) || late.every((slots) => !slots.has(slot));
  // What failed leaves no page behind: what comes after it depends on the pages before.
  const dependsOnClean = (slot: number) => {
    let pages = 0;
    for (let at = slot - 1; pages < remembered && at >= 0; at--) {
      if (!once(at) || !agrees(at)) return false;
      if (!isDown(at)) pages++;
    }
    return slot >= remembered && once(slot) && agrees(slot);
  };
  const all = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i).every(once);
  const clean = new Set<string>();
  for (let slot = 0; slot < slots; slot++) {
    if (!dependsOnClean(slot)) continue;
    clean.add(String(slot));
    if (slot + latest < slots && all(slot, slot + latest)) clean.add(`@${slot}`);
  }
  return clean;
}

/** All differences of an output in these slots. */
export function compareObservations(
  output: string,
  form: RunDifference["form"],
  peer: Observations,
  own: Observations,
  clean: ReadonlyMap<string, ReadonlySet<string>>,
): RunDifference[] {
  const differences: RunDifference[] = [];
  for (const [name, slots] of clean) {
    for (const slot of slots) {
      const [theirs, ours] = [peer, own].map(({ cases }): SlotView => cases.get(name)?.get(slot) ?? new Map());
      for (const key of new Set([...(theirs?.keys() ?? []), ...(ours?.keys() ?? [])])) {
        const [left, right] = [theirs?.get(key), ours?.get(key)];
        if (sortedText(left) === sortedText(right) || isTimedByMachine(key, left, right)) continue;
        differences.push({ output, form, name, slot, key, peer: left, own: right, ownView: ours ?? new Map() });
      }
    }
  }
  return differences;
}

function sortedText(values: readonly string[] | undefined): string | undefined {
  return values && [...values].sort().join("\n");
}

/** The duration of a scrape is the machine's; only whether it was written counts. */
function isTimedByMachine(key: string, peer?: readonly string[], own?: readonly string[]): boolean {
  return (
    /^(spaced_)?scrape_duration(_seconds)?\{/.test(key) &&
    peer?.length === own?.length &&
    !peer?.includes("stale") &&
    !own?.includes("stale")
  );
}

/** What remains, and what the rules that covered something are about. */
export function sortOut(
  differences: readonly RunDifference[],
  meant: readonly MeantDifference[],
): { remaining: RunDifference[]; seen: Set<string> } {
  const seen = new Set<string>();
  const remaining = differences.filter((difference) => {
    const rule = meant.find(({ covers }) => covers(difference));
    if (rule !== undefined) seen.add(rule.what);
    return rule === undefined;
  });
  return { remaining, seen };
}

/** One text for all slots in which a series was different: the values of the first of them. */
export function describeDifferences(differences: readonly RunDifference[]): string[] {
  const groups = new Map<string, { first: RunDifference; where: Map<string, string[]> }>();
  for (const difference of differences) {
    const { output, name, slot, key, peer, own } = difference;
    const shape = `${peer === undefined ? "missing" : peer.includes("stale")} ${own === undefined ? "missing" : own.includes("stale")}`;
    const id = `${name} ${key} ${shape}`;
    const group = groups.get(id) ?? { first: difference, where: new Map<string, string[]>() };
    groups.set(id, group);
    group.where.set(output, [...(group.where.get(output) ?? []), slot]);
  }
  return [...groups.values()].map(({ first: { name, key, peer, own }, where }) => {
    const short = key.replace(/,?(instance|job)="[^"]*"/g, "").replace(/127\.0\.0\.1:\d+/g, "target");
    const places = [...where].map(([output, slots]) => `${output} ${slots.join(",")}`).join("; ");
    const texts = (values: readonly string[] | undefined) => values?.join(" | ") ?? "nothing";
    return `${name} ${short}\n    in ${places}\n    peer ${texts(peer)}\n    own  ${texts(own)}`;
  });
}
