/** Lanes: what one source sends stays in order, one request at a time, and the counts of rows and bytes are right. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type SamplesSegment, segmentBytes, sliceSamples } from "../../model/batch.ts";
import { buildSamples } from "../../testing/build-samples.ts";
import { Lanes, type QueuedSegment, Ticket } from "./lanes.ts";

const [template] = buildSamples(Array.from({ length: 9 }, (_, value) => ({ name: `m${value}`, value }))).segments;

function segmentOf(rows: number): SamplesSegment {
  if (template?.form !== "samples") throw new Error("expected samples");
  return sliceSamples(template, 0, rows);
}

const ticket = new Ticket(() => {});

function item(rows = 1, queuedMs = 0): QueuedSegment {
  return { segment: segmentOf(rows), exemplars: [], ticket, queuedMs };
}

/** Takes all of a lane. */
function takeAll(lanes: Lanes, lane: number): QueuedSegment[] {
  const items: QueuedSegment[] = [];
  for (let next = lanes.peek(lane); next !== undefined; next = lanes.peek(lane)) {
    items.push(next);
    lanes.advance(lane, undefined);
  }
  return items;
}

describe("Lanes", () => {
  test("give back what one source sent in its order", () => {
    const lanes = new Lanes(2);
    const [a, b, c] = [item(1), item(2), item(3)];
    lanes.push(4, a);
    lanes.push(1, item(5));
    lanes.push(4, b);
    lanes.push(4, c);
    expect(lanes.takeLane()).toBe(0);
    expect(takeAll(lanes, 0)).toEqual([a, b, c]);
  });

  test("are taken in the order in which they began to wait", () => {
    const lanes = new Lanes(3);
    for (const source of [2, 0, 2, 1]) lanes.push(source, item());
    expect([lanes.takeLane(), lanes.takeLane(), lanes.takeLane(), lanes.takeLane()]).toEqual([2, 0, 1, undefined]);
  });

  test("that are busy wait until they are free, whatever is pushed", () => {
    const lanes = new Lanes(1);
    lanes.push(0, item(2, 5));
    expect([lanes.waitingRows, lanes.oldestMs]).toEqual([2, 5]);
    expect(lanes.takeLane()).toBe(0);
    lanes.advance(0, undefined);
    lanes.push(0, item(3, 9));
    expect([lanes.rows, lanes.waitingRows, lanes.oldestMs, lanes.takeLane()]).toEqual([3, 0, undefined, undefined]);
    lanes.free(0);
    expect([lanes.rows, lanes.waitingRows, lanes.oldestMs, lanes.takeLane()]).toEqual([3, 3, 9, 0]);
  });

  test("that are free again behind others are taken after them", () => {
    const lanes = new Lanes(2);
    lanes.push(0, item(2));
    lanes.push(1, item());
    expect(lanes.takeLane()).toBe(0);
    lanes.free(0);
    expect([lanes.takeLane(), lanes.takeLane()]).toEqual([1, 0]);
  });

  test("that were emptied do not wait", () => {
    const lanes = new Lanes(1);
    lanes.push(0, item());
    lanes.takeLane();
    lanes.advance(0, undefined);
    lanes.free(0);
    expect([lanes.takeLane(), lanes.rows, lanes.bytes, lanes.oldestMs]).toEqual([undefined, 0, 0, undefined]);
  });

  test("keep the rest of a segment in its place", () => {
    const lanes = new Lanes(1);
    const [first, second] = [item(5), item(1)];
    lanes.push(0, first);
    lanes.push(0, second);
    lanes.takeLane();
    const rest = { ...first, segment: sliceSamples(first.segment, 2, 5) };
    lanes.advance(0, rest);
    expect(lanes.rows).toBe(4);
    expect(lanes.bytes).toBe(segmentBytes(rest.segment) + segmentBytes(second.segment));
    expect(takeAll(lanes, 0)).toEqual([rest, second]);
  });

  test("list every queued segment and no other", () => {
    const lanes = new Lanes(2);
    const [a, b, c] = [item(1), item(2), item(3)];
    for (const [source, one] of [
      [0, a],
      [0, b],
      [1, c],
    ] as const)
      lanes.push(source, one);
    lanes.advance(lanes.takeLane() ?? -1, undefined);
    expect([...lanes.segments()]).toEqual([b.segment, c.segment]);
  });

  test("have nothing after a drain, not even when a lane is freed", () => {
    const lanes = new Lanes(2);
    const items = [item(1), item(2), item(3)];
    for (const [index, one] of items.entries()) lanes.push(index % 2, one);
    lanes.takeLane();
    expect(lanes.drain()).toEqual([items[0], items[2], items[1]]);
    lanes.free(0);
    expect([lanes.rows, lanes.bytes, lanes.waitingRows, lanes.takeLane()]).toEqual([0, 0, 0, undefined]);
    lanes.push(0, item(4));
    expect([lanes.takeLane(), lanes.rows]).toEqual([0, 4]);
  });

  test("drain far more segments than a call takes arguments", () => {
    const lanes = new Lanes(1);
    const one = item();
    for (let count = 0; count < 300_000; count++) lanes.push(0, one);
    expect(lanes.drain().length).toBe(300_000);
  });

  test("count right and keep the order through long use", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 2 }), fc.nat({ max: 5 }), fc.boolean()), { maxLength: 200 }),
        (steps) => {
          const lanes = new Lanes(3);
          const model: QueuedSegment[][] = [[], [], []];
          const busy = new Set<number>();
          for (const [source, rows, takes] of steps) {
            if (!takes) {
              const one = item(rows + 1);
              lanes.push(source, one);
              model[source]?.push(one);
            } else if (busy.has(source)) {
              expect(lanes.peek(source)).toBe(model[source]?.shift());
              lanes.advance(source, undefined);
              lanes.free(source);
              busy.delete(source);
            } else {
              const lane = lanes.takeLane();
              if (lane !== undefined) busy.add(lane);
            }
            const left = model.flat();
            const count = (items: readonly QueuedSegment[]) => items.reduce((sum, one) => sum + one.segment.to, 0);
            expect(lanes.rows).toBe(count(left));
            expect(lanes.bytes).toBe(left.reduce((sum, one) => sum + segmentBytes(one.segment), 0));
            expect(lanes.waitingRows).toBe(count(model.filter((_, lane) => !busy.has(lane)).flat()));
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe("Ticket", () => {
  test("settles when its last part is released, with the first reason", () => {
    const outcomes: (Error | undefined)[] = [];
    const first = new Error("first");
    const one = new Ticket((dropped) => outcomes.push(dropped));
    one.hold();
    one.hold();
    one.release();
    one.release(first);
    expect(outcomes).toEqual([]);
    one.release(new Error("second"));
    expect(outcomes).toEqual([first]);
  });
});
