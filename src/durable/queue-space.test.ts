import { expect, test } from "vitest";
import { QueueSpace } from "./queue-space.ts";
import { ForgetfulFiles } from "./test-forgetful-files.ts";

function createSpace(minFreeBytes = 0) {
  let nowMs = 1_700_000_000_000;
  let freeBytes = 1000;
  const files = { ...new ForgetfulFiles().process(), freeBytes: async () => freeBytes };
  const limits = { maxBytes: 1000, minFreeBytes };
  const space = new QueueSpace({ files, directory: "/queue", limits: () => limits, now: () => nowMs });
  return {
    space,
    limits,
    pass: (ms: number) => {
      nowMs += ms;
    },
    free: (bytes: number) => {
      freeBytes = bytes;
    },
  };
}

test("after a write that found no room it is full for a second", async () => {
  const { space, pass } = createSpace();
  await space.refresh();
  space.wasFull();
  expect(space.fullness(1, 0)).toBe("the device of /queue is full");
  pass(1000);
  expect(space.fullness(1, 0)).toBeUndefined();
});

test("a clock that goes back does not keep it full", async () => {
  const { space, pass } = createSpace();
  await space.refresh();
  space.wasFull();
  pass(-3_600_000);
  expect(space.fullness(1, 0)).toBeUndefined();
});

test("a clock that goes back does not keep it from asking the device", async () => {
  const { space, pass, free } = createSpace(500);
  free(10);
  await space.refresh();
  expect(space.fullness(1, 0)).toBe("the device of /queue has too little room left");
  free(1000);
  pass(-3_600_000);
  space.fullness(1, 0);
  await space.refresh();
  expect(space.fullness(1, 0)).toBeUndefined();
});

test("limits may change", () => {
  const { space, limits } = createSpace();
  expect(space.fullness(100, 950)).toBe("the queue in /queue is full (950 bytes, limit 1000)");
  limits.maxBytes = 2000;
  expect(space.fullness(100, 950)).toBeUndefined();
});
