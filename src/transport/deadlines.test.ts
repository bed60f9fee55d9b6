/** Time limits that share a timer: each is kept to, and none outlives its task. */

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Deadlines } from "./deadlines.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function record(called: string[], name: string) {
  return { onDeadline: () => void called.push(name) };
}

test("each task is called at its own time, in whatever order they came", () => {
  const called: string[] = [];
  const deadlines = new Deadlines();
  for (const [name, ms] of [
    ["c", 300],
    ["a", 100],
    ["b", 200],
  ] as const)
    deadlines.add(record(called, name), ms);
  vi.advanceTimersByTime(99);
  expect(called).toEqual([]);
  for (const seen of [["a"], ["a", "b"], ["a", "b", "c"]]) {
    vi.advanceTimersByTime(100);
    expect(called).toEqual(seen);
  }
  expect(vi.getTimerCount()).toBe(0);
});

test("a task that ended in time is not called, and costs no timer of its own", () => {
  const called: string[] = [];
  const deadlines = new Deadlines();
  const tasks = ["a", "b", "c"].map((name) => record(called, name));
  for (const task of tasks) deadlines.add(task, 100);
  expect(vi.getTimerCount()).toBe(1);
  for (const task of tasks) deadlines.delete(task);
  vi.advanceTimersByTime(1000);
  expect([called, vi.getTimerCount()]).toEqual([[], 0]);
});

test("a task that comes while others are called is called too", () => {
  const called: string[] = [];
  const deadlines = new Deadlines();
  deadlines.add({ onDeadline: () => deadlines.add(record(called, "next"), 50) }, 100);
  deadlines.add(record(called, "later"), 500);
  vi.advanceTimersByTime(151);
  expect(called).toEqual(["next"]);
  vi.advanceTimersByTime(400);
  expect(called).toEqual(["next", "later"]);
});

test("nothing is called after the end", () => {
  const called: string[] = [];
  const deadlines = new Deadlines();
  deadlines.add(record(called, "a"), 100);
  deadlines.close();
  vi.advanceTimersByTime(1000);
  expect(called).toEqual([]);
});

test("what had arrived while the process was held up counts as in time", async () => {
  vi.useRealTimers();
  const called: string[] = [];
  const deadlines = new Deadlines();
  const server = createServer((socket) => void socket.on("error", () => {}));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [peer] = await accepted;
  if (client.connecting) await once(client, "connect");
  const task = record(called, "late");
  const arrived = new Promise<void>((resolve) => {
    client.once("data", () => {
      deadlines.delete(task);
      resolve();
    });
  });
  deadlines.add(task, 10);
  peer.write("answer");
  const until = performance.now() + 200;
  while (performance.now() < until);
  await arrived;
  await setImmediate();
  client.destroy();
  peer.destroy();
  server.close();
  expect(called).toEqual([]);
});
