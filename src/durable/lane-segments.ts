/** What a segment means to the lanes that have records in it: found at the start, or given up. */

import type { LaneState } from "./lane-state.ts";
import type { Position } from "./position-journal.ts";
import { recordHeaderBytes, segmentHeaderBytes } from "./record-format.ts";
import { scanSegment } from "./scan-segment.ts";
import type { Segment, SegmentReader } from "./segment.ts";
import { placeAt, SegmentIndex } from "./segment-lanes.ts";

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
): Promise<GivenUp> {
  const lists = new Map<number, Uint32Array>();
  for (const { lane, count } of segment.index.lanes.values()) {
    lists.set(lane, (await listOf(segment, reader, lane, count)) ?? new Uint32Array(count * 3));
  }
  // From here on nothing else runs: cursors stand still.
  const moved: [number, Position][] = [];
  const sum = { records: 0, items: 0, memoryBytes: 0 };
  for (const { lane, count, lastSequence, bytes } of segment.index.lanes.values()) {
    const state = stateOf(lane);
    if (state.acknowledged.sequence >= lastSequence) continue;
    const { cursor } = state;
    if (cursor?.segment === segment) {
      const unread = count - cursor.index;
      const list = lists.get(lane);
      let items = 0;
      for (let i = cursor.index; i < count && list !== undefined; i++) {
        items += placeAt(list, i, segment.firstSequence).items;
      }
      state.unread -= unread;
      state.records -= unread;
      state.items -= items;
      state.bytes -= Math.round((bytes * unread) / count);
      sum.records += unread;
      sum.items += items;
      const next = state.segments.find(({ number }) => number > segment.number);
      state.cursor = state.unread === 0 || next === undefined ? undefined : { segment: next, index: 0 };
    }
    const dropped = state.abandon(lastSequence);
    sum.records += dropped.records;
    sum.items += dropped.items;
    sum.memoryBytes += dropped.memoryBytes;
    moved.push([lane, state.acknowledged]);
  }
  return { ...sum, moved };
}

/** Undefined where the file cannot be read. */
async function listOf(segment: Segment, reader: SegmentReader, lane: number, count: number) {
  try {
    return (await reader.list(segment, lane, 0, count)).list;
  } catch {
    return undefined;
  }
}

/** Lets the lanes begin anew with what the segments have. Records that are written meanwhile are in the indexes. */
export async function adoptSegments(
  segments: ReadonlyMap<number, Segment>,
  reader: SegmentReader,
  lanes: ReadonlyMap<number, LaneState<unknown>>,
  stateOf: (lane: number) => LaneState<unknown>,
): Promise<void> {
  const lists = new Map<Segment, ReadonlyMap<number, Uint32Array>>();
  for (const segment of [...segments.values()]) lists.set(segment, await partialLists(segment, reader, stateOf));
  // From here on nothing else runs.
  for (const lane of lanes.values()) lane.reset();
  for (const segment of segments.values()) {
    segment.openLanes = 0;
    adoptSegment(segment, lists.get(segment) ?? new Map(), stateOf);
  }
}

/** The lists of lanes that are acknowledged up to somewhere inside the segment. */
async function partialLists(
  segment: Segment,
  reader: SegmentReader,
  stateOf: (lane: number) => LaneState<unknown>,
): Promise<ReadonlyMap<number, Uint32Array>> {
  const lists = new Map<number, Uint32Array>();
  for (const { lane, count, firstSequence, lastSequence } of segment.index.lanes.values()) {
    const { sequence } = stateOf(lane).acknowledged;
    if (firstSequence > sequence || lastSequence <= sequence) continue;
    const list = await listOf(segment, reader, lane, count);
    // Where it cannot be read, the lane is handed out from its first record in the segment.
    if (list !== undefined) lists.set(lane, list);
  }
  return lists;
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
    state.segments.push(segment);
    segment.openLanes++;
    let index = 0;
    let { items } = known;
    const list = known.firstSequence <= sequence ? (lists.get(known.lane) ?? known.list) : undefined;
    for (; list !== undefined && index < known.count; index++) {
      const place = placeAt(list, index, segment.firstSequence);
      if (place.sequence > sequence) break;
      items -= place.items;
    }
    const count = known.count - index;
    state.cursor ??= { segment, index };
    state.unread += count;
    state.records += count;
    state.items += items;
    state.bytes += Math.round((known.bytes * count) / known.count);
  }
}

/**
 * Makes the list of a lane anew from the records that are intact, when the one in the file leads nowhere: it was damaged,
 * or a record was. The lane goes on behind what it has read. Returns what is lost.
 */
export async function repairList(
  segment: Segment,
  reader: SegmentReader,
  state: LaneState<unknown>,
): Promise<{ records: number; items: number }> {
  const { cursor, lane } = state;
  const known = segment.index.lanes.get(lane);
  const scanned = new SegmentIndex();
  await reader.use(segment.path, async (file) => {
    await scanSegment(file, segmentHeaderBytes, segment.committed, segment.seed, ({ header, offset, payload }) => {
      if (header.lane !== lane) return;
      const place = { offset, sequence: header.sequence, items: header.items };
      scanned.add(lane, place, payload.length + recordHeaderBytes, header.timeMs, segment.firstSequence);
    });
  });
  const found = scanned.lanes.get(lane);
  const list = found?.list ?? new Uint32Array(0);
  const count = found?.count ?? 0;
  // Given up, or read on meanwhile.
  if (known === undefined || cursor === undefined || state.cursor !== cursor) return { records: 0, items: 0 };
  let index = 0;
  while (index < count && placeAt(list, index, segment.firstSequence).sequence <= state.readThrough) index++;
  const records = known.count - cursor.index - (count - index);
  const items = Math.max(0, known.items - (found?.items ?? 0));
  known.count = count;
  known.items -= items;
  known.list = list;
  known.isRepaired = true;
  state.unread -= records;
  state.records -= records;
  state.items -= items;
  const next = state.segments.find(({ number }) => number > segment.number);
  if (index < count) state.cursor = { segment, index };
  else state.cursor = state.unread === 0 || next === undefined ? undefined : { segment: next, index: 0 };
  return { records, items };
}
