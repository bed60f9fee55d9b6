/** Sleeping together: one timer for a moment, and nobody sleeps on when called off. */

import { expect, test } from "vitest";
import { SlotSleep, slotOf } from "./slot-sleep.ts";

/** A clock whose sleeps end when told. */
function createClock() {
  const sleeps: { readonly ms: number; readonly wake: () => void; isOver: boolean }[] = [];
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const entry = {
        ms,
        isOver: false,
        wake: () => {
          entry.isOver = true;
          resolve();
        },
      };
      signal?.addEventListener("abort", entry.wake);
      sleeps.push(entry);
    });
  return { now: () => 1000, sleep, sleeps };
}

test("those that wait for the same moment share a timer", async () => {
  const clock = createClock();
  const slots = new SlotSleep(clock);
  const { signal } = new AbortController();
  const woken: string[] = [];
  const both = ["a", "b"].map((name) =>
    slots
      .sleeper(signal)
      .until(1500)
      .then(() => woken.push(name)),
  );
  const later = slots.sleeper(signal).until(1600);
  expect(clock.sleeps.map(({ ms }) => ms)).toEqual([500, 600]);
  clock.sleeps[0]?.wake();
  await Promise.all(both);
  expect(woken).toEqual(["a", "b"]);
  clock.sleeps[1]?.wake();
  await later;
  void slots.sleeper(signal).until(1500);
  expect(clock.sleeps.length).toBe(3);
});

test("one that is called off wakes at once, and the timer ends with the last", async () => {
  const clock = createClock();
  const slots = new SlotSleep(clock);
  const stops = [new AbortController(), new AbortController()];
  const sleeping = stops.map(({ signal }) => slots.sleeper(signal).until(2000));
  stops[0]?.abort();
  await sleeping[0];
  expect(clock.sleeps[0]?.isOver).toBe(false);
  stops[1]?.abort();
  await sleeping[1];
  expect(clock.sleeps[0]?.isOver).toBe(true);
  await slots.sleeper(AbortSignal.abort()).until(3000);
  expect(clock.sleeps.length).toBe(1);
});

test.each([
  [12_345 % 10_000, 10_000, 2000],
  [99, 10_000, 0],
  [59_999, 60_000, 59_600],
  [777, 1000, 760],
  [33, 50, 32],
  [33, 20, 33],
])("an offset of %i in an interval of %i ms is that of its slot, %i", (offsetMs, intervalMs, slotMs) => {
  expect(slotOf(offsetMs, intervalMs)).toBe(slotMs);
});
