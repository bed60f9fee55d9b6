import { describe, expect, test } from "vitest";
import type { SamplesSegment } from "../../model/batch.ts";
import { Identities } from "../../model/identities.ts";
import { SamplesLayout } from "../../model/layout.ts";
import { SampleTimes } from "./sample-times.ts";

const now = 1_000_000;

/** A segment of rows [label set, time]. */
function segmentOf(rows: readonly (readonly [number, number])[]): SamplesSegment {
  const labels = Uint32Array.from(rows, ([labelSet]) => labelSet);
  const origin = { lane: 0, read: () => ({ series: labels, part: new Uint8Array(), bound: labels }), points: () => [] };
  return {
    form: "samples",
    layout: new SamplesLayout(new Identities(), { labels }, origin),
    from: 0,
    to: rows.length,
    values: new Float64Array(rows.length),
    stale: false,
    timestampMs: now,
    timestampsMs: Float64Array.from(rows, ([, time]) => time),
  };
}

describe("times of samples", () => {
  test("that do not move forward are refused once a page was taken", () => {
    const times = new SampleTimes(true);
    expect(
      times.check(
        segmentOf([
          [1, 10],
          [2, 20],
        ]),
        now,
      ),
    ).toMatchObject({ rows: undefined, outOfOrder: 0 });
    times.commit();
    const second = times.check(
      segmentOf([
        [1, 10],
        [2, 21],
      ]),
      now,
    );
    expect(second).toEqual({ rows: Uint32Array.of(1), outOfBounds: 0, outOfOrder: 1, duplicates: 0 });
  });

  test("of two rows of one series in one page are both taken, because the last time moves at the end of the page", () => {
    const times = new SampleTimes(true);
    expect(
      times.check(
        segmentOf([
          [1, 20],
          [1, 10],
        ]),
        now,
      ).rows,
    ).toBeUndefined();
    times.commit();
    expect(times.check(segmentOf([[1, 20]]), now).outOfOrder).toBe(1);
    expect(times.check(segmentOf([[1, 21]]), now).outOfOrder).toBe(0);
  });

  test("of a page that nobody took are forgotten", () => {
    const times = new SampleTimes(true);
    times.check(segmentOf([[1, 10]]), now);
    expect(times.check(segmentOf([[1, 10]]), now).rows).toBeUndefined();
  });

  test("more than ten minutes ahead are out of bounds", () => {
    const times = new SampleTimes(false);
    const checked = times.check(
      segmentOf([
        [1, now + 600_000],
        [2, now + 600_001],
      ]),
      now,
    );
    expect(checked).toEqual({ rows: Uint32Array.of(0), outOfBounds: 1, outOfOrder: 0, duplicates: 0 });
  });

  test("may stand still for a collector", () => {
    const times = new SampleTimes(false);
    times.check(segmentOf([[1, 10]]), now);
    times.commit();
    expect(times.check(segmentOf([[1, 10]]), now).rows).toBeUndefined();
  });

  test("are one sample where a page gives a series twice with one time to a collector", () => {
    const times = new SampleTimes(false);
    const page = segmentOf([
      [1, 10],
      [1, 20],
      [2, 10],
      [1, 10],
      [1, 20],
      [2, now + 600_001],
      [2, now + 600_001],
    ]);
    const checked = { rows: Uint32Array.of(0, 1, 2), outOfBounds: 2, outOfOrder: 0, duplicates: 2 };
    expect(times.check(page, now)).toEqual(checked);
    times.commit();
    expect(times.check(page, now)).toEqual(checked);
    expect(times.check(segmentOf([[1, 10]]), now).rows).toBeUndefined();
  });
});
