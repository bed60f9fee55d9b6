/** Turns are taken one for each turn of the event loop, in the order of asking. */

import { expect, test } from "vitest";
import { PageTurns } from "./page-turns.ts";

test("everybody gets a turn in the order of asking, and the event loop turns between any two", async () => {
  const turns = new PageTurns();
  const log: string[] = [];
  let loops = 0;
  let isOver = false;
  const count = () => {
    loops++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const worker = async (name: string) => {
    for (let step = 0; step < 3; step++) {
      await turns.next();
      log.push(`${name}${step}`);
    }
  };
  expect(turns.isBusy).toBe(false);
  const all = Promise.all(["a", "b", "c"].map(worker));
  expect(turns.isBusy).toBe(true);
  await all;
  isOver = true;
  expect(log).toEqual(["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]);
  expect(loops).toBeGreaterThanOrEqual(8);
  expect(turns.isBusy).toBe(false);
});
