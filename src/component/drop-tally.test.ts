import { expect, test } from "vitest";
import { createFakeClock } from "../testing/fake-clock.ts";
import { DropTally } from "./drop-tally.ts";

test("the first of a reason is due at once, the next after a minute with all that was dropped since", async () => {
  const clock = createFakeClock(0);
  const tally = new DropTally(clock);
  expect([tally.add("rejected", 3), tally.add("rejected", 4), tally.add("queue_full", 5)]).toEqual([3, undefined, 5]);
  await clock.advance(59_999);
  expect(tally.add("rejected", 10)).toBe(undefined);
  await clock.advance(1);
  expect([tally.add("rejected", 100), tally.add("rejected", 1)]).toEqual([114, undefined]);
});

test("what is dropped at the end of the process is always due", () => {
  const tally = new DropTally(createFakeClock(0));
  expect([tally.add("shutdown", 1), tally.add("shutdown", 2)]).toEqual([1, 2]);
});
