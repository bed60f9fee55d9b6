/** A process that opens the queue of a directory and prints what that took; started by the bench `start`. */

import { setTimeout as pause } from "node:timers/promises";
import { openSamplesQueue } from "./samples-queue.ts";

const directory = process.argv[2] ?? "";
const mebibytes = () => process.memoryUsage().rss / 1024 / 1024;
const before = mebibytes();
const begun = performance.now();
const queue = await openSamplesQueue(directory);
const ms = performance.now() - begun;
const opened = mebibytes();
queue.begin(() => {});
// Long enough for what is read ahead.
await pause(3000);
const readAhead = mebibytes();
globalThis.gc?.();
// Freed pages go back to the system a little later.
await pause(1000);
const { records, items, segments } = queue.stats();
const { heapUsed, external } = process.memoryUsage();
console.log(
  JSON.stringify({
    ms,
    openedMiB: opened - before,
    readAheadMiB: readAhead - before,
    collectedMiB: mebibytes() - before,
    liveMiB: (heapUsed + external) / 1024 / 1024,
    records,
    items,
    segments,
  }),
);
await queue.close();
