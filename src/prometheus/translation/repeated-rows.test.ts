import { describe, expect, it } from "vitest";
import type { HistogramPoints, NumberPoints } from "../../model/batch.ts";
import { rowPart, SamplesLayout } from "../../model/layout.ts";
import { member, type PageRow, testOrigin, testSegment } from "./test-page.ts";

/** The points of a page whose series a processor has looked at, and how many rows were dropped for which reason. */
function processed(rows: readonly PageRow[]) {
  const dropped: Record<string, number> = {};
  const origin = testOrigin({
    dropped: (reason, points) => {
      dropped[reason] = (dropped[reason] ?? 0) + points;
    },
  });
  const segment = testSegment(rows, origin);
  const { families } = segment.layout;
  const layout = new SamplesLayout(origin.identities, { reading: segment.layout.reading(), families }, origin);
  return { points: origin.points({ ...segment, layout }), dropped };
}

const bucket = (le: string, value: number) => member("h", "histogram", "_bucket", { le }, value);
const quantile = (text: string, value: number) => member("s", "summary", "", { quantile: text }, value);

describe("rows that repeat a part of their point", () => {
  it("leave the first bucket of bounds that are one number, also behind a processor", () => {
    const { points, dropped } = processed([
      bucket("1", 2),
      bucket("1.0", 3),
      bucket("0", 1),
      bucket("-0", 9),
      bucket("+Inf", 4),
      bucket("Inf", 5),
      member("h", "histogram", "_count", {}, 4),
    ]);
    const [histogram] = points as HistogramPoints[];
    expect([...(histogram?.bounds ?? [])]).toEqual([0, 1]);
    expect([...(histogram?.bucketCounts ?? [])]).toEqual([1n, 1n, 2n]);
    expect(dropped).toEqual({ duplicate: 3 });
  });

  it("are told apart by their series and part", () => {
    const { part } = testSegment([
      bucket("1", 2),
      bucket("1.0", 2),
      quantile("1", 2),
      quantile("1.0", 2),
      { ...bucket("1.0", 2), labels: { le: "1.0", a: "b" } },
    ]).layout.reading();
    expect([...part]).toEqual([rowPart.bucket, rowPart.repeated, rowPart.quantile, rowPart.repeated, rowPart.bucket]);
  });

  it("leave the first of rows that only differ in naming the target's job and instance", () => {
    const rows = [
      { name: "a", value: 1, labels: { job: "" } },
      { name: "a", value: 2 },
      { name: "b", value: 3 },
    ];
    const { points, dropped } = processed(rows);
    expect([...((points as NumberPoints[])[0]?.doubles ?? [])]).toEqual([1, 3]);
    expect(dropped).toEqual({ duplicate: 1 });
  });
});
