/** What a segment has of its lanes, packed and unpacked. */

import { expect, test } from "vitest";
import { encodeLanes, type LaneIndex, LaneIndexes, laneBytes } from "./lane-indexes.ts";

const lane = (number: number): LaneIndex => ({
  lane: number,
  count: number + 1,
  firstSequence: 2 ** 40 + number,
  lastSequence: 2 ** 41 + number,
  items: number * 1000,
  bytes: number * 1e6,
  oldestMs: 1.7e12 + number,
  listAt: 3_000_000_000 + number,
  list: undefined,
  listCrc: 0xffff_0000 + number,
  isListChecked: false,
});
const all = [5, 0, 4095, 7].map(lane);

test("lanes come back as they were, in their order", () => {
  const packed = encodeLanes(all, all.length);
  expect(packed.length).toBe(4 * laneBytes);
  const lanes = new LaneIndexes(packed);
  expect(lanes.size).toBe(4);
  expect([...lanes.values()]).toEqual(all);
  for (const one of all) expect(lanes.get(one.lane)).toEqual(one);
  expect(lanes.get(6)).toBeUndefined();
});

test("what is changed in a lane that was asked for lasts, and is seen by all", () => {
  const lanes = new LaneIndexes(encodeLanes(all, all.length));
  const asked = lanes.get(4095);
  if (asked !== undefined) asked.count = 77;
  expect(lanes.get(4095)?.count).toBe(77);
  expect([...lanes.values()].map(({ count }) => count)).toEqual([6, 1, 77, 8]);
});

test("lanes that were added are packed with what they have then", () => {
  const lanes = new LaneIndexes();
  for (const one of all) lanes.add({ ...one });
  const first = lanes.get(5);
  if (first !== undefined) first.list = new Uint32Array(3);
  lanes.pack();
  expect(lanes.size).toBe(4);
  expect([...lanes.values()]).toEqual(all);
  expect(lanes.get(5)).toEqual(all[0]);
});
