/** What a segment means to the lanes that have records in it: found at the start, or given up. */

import type { Damage } from "./damage.ts";
import type { GiveUpReason } from "./durable-options.ts";
import type { Position } from "./journal-format.ts";
import type { Cursor, LaneState } from "./lane-state.ts";
import { recordHeaderBytes, segmentHeaderBytes } from "./record-format.ts";
import { scanSegment } from "./scan-segment.ts";
import { noteDamage, type Segment, type SegmentReader } from "./segment.ts";
import { type LaneIndex, placeAt, placeBytes, SegmentIndex } from "./segment-lanes.ts";

export interface GivenUp {
  readonly records: number;
  readonly items: number;
  /** That is free again. */
  readonly memoryBytes: number;
  /** Where the lanes stand now. */
  readonly moved: readonly (readonly [lane: number, position: Position])[];
}

/** What was handed out already is not counted: it may still be delivered. */
export async function giveUpSegment(
  segment: Segment,
  reader: SegmentReader,
  stateOf: (lane: number) => LaneState<unknown>,
  reason: GiveUpReason,
): Promise<GivenUp> {
  const lists = new Map<number, Uint32Array>();
  for (const { lane, count } of segment.index.lanes.values()) {
    const list = await listOf(segment, reader, lane, count);
    if (list !== undefined) lists.set(lane, list);
  }
  // From here on nothing else runs: cursors stand still.
  const moved: [number, Position][] = [];
  const sum = { records: 0, items: 0, memoryBytes: 0 };
  for (const known of segment.index.lanes.values()) {
    const { lane, count, lastSequence, bytes } = known;
    const state = stateOf(lane);
    if (state.acknowledged.sequence >= lastSequence) continue;
    const { cursor } = state;
    if (cursor?.segment === segment) {
      const unread = count - cursor.index;
      const list = known.list ?? lists.get(lane);
      let items = 0;
      for (let i = cursor.index; i < count && list !== undefined; i++) {
        const place = placeAt(list, i, segment.firstSequence);
        items += place.items;
        if (!state.isCounted(place.sequence)) continue;
        sum.records--;
        sum.items -= place.items;
      }
      if (list === undefined) items = Math.round((known.items * unread) / count);
      state.unread -= unread;
      state.count(-unread, -items, -Math.round((bytes * unread) / count));
      sum.records += unread;
      sum.items += items;
      state.cursor = behind(state, segment);
    }
    const dropped = state.abandon(lastSequence, reason);
    sum.records += dropped.records;
    sum.items += dropped.items;
    sum.memoryBytes += dropped.memoryBytes;
    moved.push([lane, state.acknowledged]);
  }
  return { ...sum, moved };
}

/** Of lanes whose reader has ended: what was under way when its segment was given up, and was not delivered. */
export function countAbandoned(
  lanes: Iterable<LaneState<unknown>>,
  gaveUp: (reason: GiveUpReason, records: number, items: number) => void,
): void {
  const sums = new Map<GiveUpReason, { records: number; items: number }>();
  for (const lane of lanes) {
    for (const { reason, items } of lane.abandoned()) {
      const sum = sums.get(reason) ?? { records: 0, items: 0 };
      sums.set(reason, { records: sum.records + 1, items: sum.items + items });
    }
  }
  for (const [reason, { records, items }] of sums) gaveUp(reason, records, items);
}

/** Where a lane goes on behind a segment. */
function behind(state: LaneState<unknown>, segment: Segment): Cursor | undefined {
  const next = state.segments.find(({ number }) => number > segment.number);
  return state.unread === 0 || next === undefined ? undefined : { segment: next, index: 0 };
}

/** Undefined where it is damaged, or the file cannot be read. */
async function listOf(segment: Segment, reader: SegmentReader, lane: number, count: number) {
  try {
    return (await reader.list(segment, lane, 0, count))?.list;
  } catch {
    return undefined;
  }
}

export interface AdoptParts {
  readonly segments: ReadonlyMap<number, Segment>;
  readonly reader: SegmentReader;
  readonly lanes: ReadonlyMap<number, LaneState<unknown>>;
  readonly stateOf: (lane: number) => LaneState<unknown>;
  readonly damaged: (damage: Damage) => void;
  readonly gaveUp: (reason: GiveUpReason, records: number, items: number) => void;
}

/** Lets the lanes begin anew with what the segments have. Records that are written meanwhile are in the indexes. */
export async function adoptSegments(parts: AdoptParts): Promise<void> {
  const { segments, lanes, stateOf, gaveUp } = parts;
  const lists = new Map<Segment, ReadonlyMap<number, Uint32Array>>();
  for (const segment of [...segments.values()]) lists.set(segment, await partialLists(segment, parts));
  // From here on nothing else runs. What was given up until now is forgotten with the rest.
  countAbandoned(lanes.values(), gaveUp);
  for (const lane of lanes.values()) lane.reset();
  for (const segment of segments.values()) {
    segment.openLanes = 0;
    adoptSegment(segment, lists.get(segment) ?? new Map(), stateOf);
  }
}

/** The lists of lanes that are acknowledged up to somewhere inside the segment. */
async function partialLists(
  segment: Segment,
  { reader, stateOf, damaged }: AdoptParts,
): Promise<ReadonlyMap<number, Uint32Array>> {
  const lists = new Map<number, Uint32Array>();
  for (const known of segment.index.lanes.values()) {
    const { lane, count, firstSequence, lastSequence } = known;
    const { sequence } = stateOf(lane).acknowledged;
    if (firstSequence > sequence || lastSequence <= sequence) continue;
    const list = await listOf(segment, reader, lane, count);
    if (list === undefined) {
      damaged({ file: segment.path, offset: known.listAt, bytes: count * placeBytes, kind: "index" });
      // Where it cannot be made anew, the lane is handed out from its first record in the segment.
      await restoreList(segment, reader, lane, damaged);
    } else lists.set(lane, list);
  }
  return lists;
}

/** Makes the list of a lane anew that nobody reads yet. */
async function restoreList(
  segment: Segment,
  reader: SegmentReader,
  lane: number,
  damaged: (damage: Damage) => void,
): Promise<void> {
  try {
    const found = await scanLane(segment, reader, lane, damaged);
    const known = segment.index.lanes.get(lane);
    if (found === undefined || known === undefined) return;
    const { count, items, bytes, firstSequence, lastSequence, list } = found;
    Object.assign(known, { count, items, bytes, firstSequence, lastSequence, list, isRepaired: true });
  } catch {
    // Reading its records finds out why.
  }
}

/** Counts what a segment has of records that are not acknowledged, all of them unread. Segments come in their order. */
function adoptSegment(
  segment: Segment,
  lists: ReadonlyMap<number, Uint32Array>,
  stateOf: (lane: number) => LaneState<unknown>,
): void {
  for (const known of segment.index.lanes.values()) {
    const state = stateOf(known.lane);
    const { sequence } = state.acknowledged;
    if (known.lastSequence <= sequence) continue;
    let index = 0;
    let { items } = known;
    const list = known.firstSequence <= sequence ? (known.list ?? lists.get(known.lane)) : undefined;
    for (; list !== undefined && index < known.count; index++) {
      const place = placeAt(list, index, segment.firstSequence);
      if (place.sequence > sequence) break;
      items -= place.items;
    }
    const count = known.count - index;
    // All that is not acknowledged was damaged.
    if (count === 0) continue;
    state.segments.push(segment);
    segment.openLanes++;
    state.cursor ??= { segment, index };
    state.unread += count;
    state.count(count, items, Math.round((known.bytes * count) / known.count));
  }
}

/** The lane's part of an index made of the records that are intact, undefined when none is; `damaged` hears of what is not. */
async function scanLane(
  segment: Segment,
  reader: SegmentReader,
  lane: number,
  damaged: (damage: Damage) => void,
): Promise<LaneIndex | undefined> {
  const scanned = new SegmentIndex();
  const { path, committed, seed } = segment;
  const result = await reader.use(path, (file) =>
    scanSegment(file, segmentHeaderBytes, committed, seed, ({ header, offset, payload }) => {
      if (header.lane !== lane) return;
      const place = { offset, sequence: header.sequence, items: header.items };
      scanned.add(lane, place, payload.length + recordHeaderBytes, header.timeMs, segment.firstSequence);
    }),
  );
  for (const { offset, bytes } of [...result.damaged, { offset: result.end, bytes: result.tailBytes }]) {
    if (bytes > 0 && noteDamage(segment, offset, offset + bytes)) {
      damaged({ file: path, offset, bytes, kind: "record" });
    }
  }
  return scanned.lanes.get(lane);
}

/** Records that cannot be read any more. */
export interface Lost {
  readonly records: number;
  readonly items: number;
}

/**
 * Makes the list of a lane anew from the records that are intact, when the one in the file leads nowhere: it was damaged,
 * or a record was. The lane goes on behind what it has read. Returns what is lost. Rejects where the file cannot be opened.
 * `damaged` hears of every place that was not named before.
 */
export async function repairList(
  segment: Segment,
  reader: SegmentReader,
  state: LaneState<unknown>,
  damaged: (damage: Damage) => void,
): Promise<Lost> {
  const { cursor, lane } = state;
  const found = await scanLane(segment, reader, lane, damaged);
  return cursor === undefined ? { records: 0, items: 0 } : replaceList(state, cursor, found);
}

/** The lane goes on with what was found of it in the segment of its cursor; with nothing, behind the segment. */
export function replaceList(state: LaneState<unknown>, cursor: Cursor, found: LaneIndex | undefined): Lost {
  const { segment } = cursor;
  const known = segment.index.lanes.get(state.lane);
  // Given up, or read on meanwhile.
  if (known === undefined || state.cursor !== cursor) return { records: 0, items: 0 };
  const list = found?.list ?? new Uint32Array(0);
  const count = found?.count ?? 0;
  let index = 0;
  while (index < count && placeAt(list, index, segment.firstSequence).sequence <= state.readThrough) index++;
  const records = known.count - cursor.index - (count - index);
  const isExact = known.count - count === records;
  const share = Math.round((known.items * records) / known.count);
  const items = Math.max(0, isExact ? known.items - (found?.items ?? 0) : share);
  known.count = count;
  known.items = found?.items ?? 0;
  known.list = list;
  known.isRepaired = true;
  state.unread -= records;
  if (index < count) {
    known.lastSequence = found?.lastSequence ?? known.lastSequence;
    state.cursor = { segment, index };
    state.lose(records, items);
    return { records, items };
  }
  // One of the lost stands for all of them: when its turn comes, the lane is through with the segment.
  state.lose(records - 1, items);
  const { lastSequence: sequence, oldestMs: timeMs } = known;
  state.push({ sequence, item: undefined, items: 0, bytes: 0, memoryBytes: 0, timeMs, done: 0 });
  state.cursor = behind(state, segment);
  return { records, items };
}
