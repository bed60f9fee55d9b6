/** A queue that gives the oldest up: what was accepted is delivered or counted, whatever is under way meanwhile. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { ForgetfulFiles } from "./test-forgetful-files.ts";
import { itemsPerRecord, openTestQueue, takeNext } from "./test-queue-kit.ts";

const laneCount = 3;
const lane = fc.nat({ max: laneCount - 1 });
const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant("append" as const),
        lane,
        count: fc.integer({ min: 1, max: 40 }),
        wait: fc.boolean(),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant("take" as const), lane, count: fc.integer({ min: 1, max: 30 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant("acknowledge" as const), lane, count: fc.nat({ max: 30 }) }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: "rewind" as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: "age" as const }) },
  ),
  { minLength: 5, maxLength: 80 },
);

test("what is given up, in memory, on disk or under way, is counted once and never delivered beside", async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.constantFrom(500, 4000, 100_000), async (list, memoryBytes) => {
      let nowMs = 0;
      let dropped = 0;
      const queue = await openTestQueue(new ForgetfulFiles(), {
        now: () => nowMs,
        maxAgeMs: 10_000,
        maxBytes: 34_000,
        memoryBytes,
        whenFull: "drop_oldest",
        gaveUp: (_reason, records, items) => {
          expect(items).toBe(records * itemsPerRecord);
          dropped += records;
        },
      });
      const taken: { id: number; sequence: number }[][] = Array.from({ length: laneCount }, () => []);
      const delivered = new Set<number>();
      const appends: Promise<void>[] = [];
      let nextId = 0;
      const take = async (from: number): Promise<boolean> => {
        const handed = await takeNext(queue, from);
        if (handed === undefined) return false;
        const { id } = handed.item;
        expect(id).toBeGreaterThan(taken[from]?.at(-1)?.id ?? -1);
        expect(delivered.has(id)).toBe(false);
        taken[from]?.push({ id, sequence: handed.sequence });
        return true;
      };
      const acknowledge = async (from: number, count: number) => {
        const part = taken[from]?.splice(0, count) ?? [];
        for (const { id } of part) delivered.add(id);
        const last = part.at(-1);
        if (last !== undefined) await queue.acknowledge([[from, { sequence: last.sequence, done: 0 }]]);
      };
      for (const step of list) {
        if (step.kind === "append") {
          for (let i = 0; i < step.count; i++) {
            appends.push(queue.append([{ lane: step.lane, item: { id: nextId++, size: 400, shape: 0 } }]));
          }
          if (step.wait) await Promise.all(appends);
        } else if (step.kind === "take") {
          for (let i = 0; i < step.count && (await take(step.lane)); i++);
        } else if (step.kind === "acknowledge") await acknowledge(step.lane, step.count);
        else if (step.kind === "age") {
          await Promise.all(appends);
          nowMs += 6000;
        } else {
          await queue.rewind();
          for (const one of taken) one.length = 0;
          queue.begin(() => {});
        }
      }
      await Promise.all(appends);
      for (let from = 0; from < laneCount; from++) {
        while (await take(from));
        await acknowledge(from, Number.POSITIVE_INFINITY);
      }
      expect(queue.stats()).toMatchObject({ records: 0, items: 0, bytes: 0, memoryBytes: 0 });
      await queue.close();
      expect(delivered.size + dropped).toBe(nextId);
    }),
    { numRuns: Number(process.env["DURABLE_RUNS"] ?? propertyRuns(60)) },
  );
});
