/** Parts of the memory. */

import { expect, test } from "vitest";
import { MemoryParts } from "./memory-parts.ts";

test("readers of one part are summed, also when it is the same function twice, and can be taken away", () => {
  const parts = new MemoryParts();
  let queued = 5;
  const read = () => queued;
  parts.add("queue", read);
  const remove = parts.add("queue", read);
  parts.add("other", () => 1);
  expect([...parts.read()]).toEqual([
    ["queue", 10],
    ["other", 1],
  ]);
  queued = 7;
  remove();
  remove();
  expect(parts.read().get("queue")).toBe(7);
});
