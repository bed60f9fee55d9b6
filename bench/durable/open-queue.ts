/** A process that opens the queue of a directory and prints what that took, in millions of bytes; started by the bench `start` and by tests. */

import { setTimeout as pause } from "node:timers/promises";
import { openRequestQueue, openSamplesQueue } from "./samples-queue.ts";

const [, , directory = "", content = "samples"] = process.argv;
const million = 1e6;
const resident = () => process.memoryUsage().rss / million;
/** What is not garbage, on the heap and beside it. */
const live = () => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / million;
};
const liveBefore = live();
const before = resident();
let most = 0;
const watch = setInterval(() => {
  most = Math.max(most, resident());
}, 2);
const begun = performance.now();
const queue = await (content === "requests" ? openRequestQueue(directory) : openSamplesQueue(directory));
const ms = performance.now() - begun;
const opened = resident();
queue.begin(() => {});
// Long enough for what is read ahead.
await pause(3000);
clearInterval(watch);
const { records, items, segments, memoryBytes } = queue.stats();
console.log(
  JSON.stringify({
    ms,
    opened: opened - before,
    readAhead: resident() - before,
    most: most - before,
    live: live() - liveBefore,
    items: memoryBytes / million,
    records,
    waiting: items,
    segments,
  }),
);
await queue.close();
