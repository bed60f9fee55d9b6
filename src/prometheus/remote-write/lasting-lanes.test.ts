import fc from "fast-check";
import { expect, test } from "vitest";
import type { SamplesSegment } from "../../model/batch.ts";
import { Identities, type Label } from "../../model/identities.ts";
import { SamplesLayout } from "../../model/layout.ts";
import { translatedOrigin } from "../translation/translated-layout.ts";
import { LastingLanes } from "./lasting-lanes.ts";

const queueId = Uint8Array.from({ length: 16 }, (_, i) => i * 7 + 1);

function segmentOf(identities: Identities, rows: readonly (readonly Label[])[], lane = 3): SamplesSegment {
  const labels = Uint32Array.from(rows, (row) => identities.internLabels(row));
  return {
    form: "samples",
    layout: new SamplesLayout(identities, { labels }, translatedOrigin(lane)),
    from: 0,
    to: rows.length,
    values: Float64Array.from(rows, (_, i) => i),
    stale: false,
    timestampMs: 1,
  };
}

const row = (name: string, job: string, instance: string): Label[] => [
  ["__name__", name],
  ["instance", instance],
  ["job", job],
];

test("rows of one source stay together, whatever else their labels are", () => {
  const identities = new Identities();
  const segment = segmentOf(identities, [row("a", "j", "i"), row("b", "j", "i"), [...row("c", "j", "i"), ["z", "1"]]]);
  const lanes = new LastingLanes(identities, queueId).apply([segment]);
  expect(lanes.length).toBe(1);
  expect(lanes[0]?.values).toEqual(segment.values);
});

test("a series has the same lane in every process, layout and part of a layout", () => {
  const rows = fc.array(
    fc.tuple(fc.constantFrom("a", "b", "c"), fc.constantFrom("j", "k"), fc.constantFrom("1", "2")),
    {
      minLength: 1,
      maxLength: 12,
    },
  );
  const laneOf = new Map<string, number>();
  fc.assert(
    fc.property(rows, fc.nat(5), fc.nat(1000), (source, cut, noise) => {
      const identities = new Identities();
      identities.internLabels(row("noise", `j${noise}`, "x"));
      const whole = segmentOf(
        identities,
        source.map((one) => row(...one)),
        noise,
      );
      const from = Math.min(cut, source.length - 1);
      const part = { ...whole, from, values: whole.values.subarray(from) };
      const divided = new LastingLanes(identities, queueId).apply([part]);
      // Nothing is lost or doubled, and one lane is one segment.
      const values = divided.flatMap((one) => Array.from(one.values));
      expect(values.toSorted((a, b) => a - b)).toEqual(Array.from(part.values));
      expect(new Set(divided.map(({ layout }) => layout.origin.lane)).size).toBe(divided.length);
      for (const one of divided) {
        for (let i = one.from; i < one.to; i++) {
          const labels = identities.labels(one.layout.labels?.[i] ?? 0);
          // The value of a row is its number: it has the labels that it had.
          const [name = "", job = "", instance = ""] = source[one.values[i - one.from] ?? -1] ?? [];
          expect(labels).toEqual(row(name, job, instance));
          const key = JSON.stringify(labels);
          expect(laneOf.get(key) ?? one.layout.origin.lane).toBe(one.layout.origin.lane);
          laneOf.set(key, one.layout.origin.lane);
        }
      }
    }),
  );
  expect(new Set(laneOf.values()).size).toBe(4);
});
