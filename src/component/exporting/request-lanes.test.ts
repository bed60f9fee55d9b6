import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import type { OtlpRequest } from "../../model/otlp-request.ts";
import { RequestLanes } from "./request-lanes.ts";
import { Ticket } from "./ticket.ts";

const ticket = new Ticket(1, 1, () => {});
const request = (): OtlpRequest => ({ signal: "traces", bytes: new Uint8Array(1), items: 1 });

/** In a function of its own, so that no variable keeps the last one. */
function takeSome(lanes: RequestLanes, count: number): WeakRef<OtlpRequest>[] {
  return Array.from({ length: count }, () => {
    const next = lanes.peek(0);
    lanes.advance(0);
    return new WeakRef(next?.request ?? request());
  });
}

test("a lane keeps nothing of what was taken", async () => {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const lanes = new RequestLanes(1);
  for (let i = 0; i < 10; i++) lanes.push(0, { request: request(), ticket, queuedMs: 0 });
  expect(lanes.take()).toBe(0);
  const taken = takeSome(lanes, 9);
  await new Promise(setImmediate);
  collect();
  expect(taken.map((reference) => reference.deref())).toEqual(Array.from({ length: 9 }, () => undefined));
  expect([lanes.peek(0)?.request.items, lanes.drain().length]).toEqual([1, 1]);
});
