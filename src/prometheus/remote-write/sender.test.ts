/** The queue of one endpoint: order per series, bounds, retries, shutdown, and what callers are told. */

import { describe, expect, test } from "vitest";
import { createSenderKit, settled } from "../../../test/support/sender-kit.ts";
import { ConsumeError } from "../../model/errors.ts";

describe("order", () => {
  test("per series is kept under failures and parallel requests, and nothing is lost or doubled but what was in flight", async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const kit = createSenderKit({ maxSamplesPerSend: 5, maxInFlight: 3 });
      let state = seed;
      const below = (limit: number) => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return Math.floor((state / 2 ** 32) * limit);
      };
      const delivered: string[] = [];
      kit.answer = async (rows) => {
        await kit.clock.sleep(below(50));
        if (below(3) === 0) return below(2) === 0 ? new Error("reset") : { status: 503 };
        delivered.push(...rows);
        return { status: 200 };
      };
      const names = ["a", "b", "c", "d", "e", "f", "g"];
      const deliveries: Promise<void>[] = [];
      for (let round = 1; round <= 20; round++) {
        const chosen = names.filter(() => below(3) > 0);
        deliveries.push(
          kit.offer(
            chosen.map((name) => kit.segment(`${name}=${round} ${name}x=${round}`, { lane: names.indexOf(name) })),
          ),
        );
        await kit.clock.advance(below(20));
      }
      await kit.clock.advance(100_000);
      await Promise.all(deliveries);
      expect(kit.counts.delivered).toBe(kit.counts.queued);
      expect(delivered.length).toBe(kit.counts.queued);
      const last = new Map<string, number>();
      for (const row of delivered) {
        const [name = "", value] = row.split("=");
        expect(Number(value)).toBeGreaterThan(last.get(name) ?? 0);
        last.set(name, Number(value));
      }
    }
  });

  test("a source that is held up holds no other up", async () => {
    const kit = createSenderKit({ maxSamplesPerSend: 1 });
    kit.answer = (rows) => (rows[0]?.startsWith("bad") ? { status: 500 } : { status: 200 });
    const bad = kit.offer([kit.segment("bad=1", { lane: 1 })]);
    const good = kit.offer([kit.segment("good=1 good=2 good=3", { lane: 2 })]);
    await kit.clock.advance(50);
    expect([await settled(bad), await settled(good)]).toEqual(["pending", "delivered"]);
    await kit.sender.shutdown(AbortSignal.abort());
    expect(await settled(bad)).toBe("CONSUME_SHUTDOWN");
  });

  test("no request begins before an earlier queue of the endpoint is empty", async () => {
    const before = Promise.withResolvers<void>();
    const kit = createSenderKit({}, {}, before.promise);
    const delivery = kit.offer([kit.segment("a=1")]);
    await kit.clock.advance(1000);
    expect(kit.requests).toEqual([]);
    before.resolve();
    await delivery;
    expect(kit.requests.length).toBe(1);
  });
});

describe("requests", () => {
  test("wait for more until they are full or the linger time is over", async () => {
    const kit = createSenderKit({ lingerMs: 5000, maxSamplesPerSend: 3 });
    kit.offer([kit.segment("a=1", { lane: 1 })]);
    await kit.clock.advance(2000);
    kit.offer([kit.segment("b=1", { lane: 2 })]);
    await kit.clock.advance(2999);
    expect(kit.requests).toEqual([]);
    await kit.clock.advance(1);
    expect(kit.requests.map(({ rows }) => rows)).toEqual([["a=1", "b=1"]]);
    kit.offer([kit.segment("a=2 b=2 c=2 d=2")]);
    await kit.clock.advance(0);
    expect(kit.requests.map(({ rows, atMs }) => [atMs, ...rows]).slice(1)).toEqual([[5000, "a=2", "b=2", "c=2"]]);
    await kit.clock.advance(5000);
    expect(kit.requests.map(({ rows, atMs }) => [atMs, ...rows]).slice(2)).toEqual([[10_000, "d=2"]]);
  });

  test("rows that waited behind a busy lane go out at their own time, not at that of later rows", async () => {
    const kit = createSenderKit({ lingerMs: 5000, maxSamplesPerSend: 2 });
    kit.answer = async () => {
      await kit.clock.sleep(4000);
      return {};
    };
    kit.offer([kit.segment("a=1 a=2", { lane: 1 })]);
    kit.offer([kit.segment("a=3", { lane: 1 })]);
    await kit.clock.advance(3900);
    kit.offer([kit.segment("b=1", { lane: 2 })]);
    await kit.clock.advance(10_000);
    expect(kit.requests[1]).toMatchObject({ atMs: 4000 });
  });

  test("never exceed the number of samples, and at most so many are under way", async () => {
    const kit = createSenderKit({ maxSamplesPerSend: 7, maxInFlight: 2 });
    let most = 0;
    kit.answer = async () => {
      most = Math.max(most, kit.sender.inFlight);
      await kit.clock.sleep(10);
      return {};
    };
    const text = Array.from({ length: 50 }, (_, i) => `s${i}=${i}`).join(" ");
    const delivery = Promise.all([0, 1, 2].map((lane) => kit.offer([kit.segment(text, { lane })])));
    await kit.clock.advance(1000);
    await delivery;
    expect(most).toBe(2);
    expect(Math.max(...kit.requests.map(({ rows }) => rows.length))).toBe(7);
    expect(kit.counts.delivered).toBe(150);
    expect([kit.sender.queuedSamples, kit.sender.queuedBytes, kit.sender.queuedBatches, kit.sender.inFlight]).toEqual([
      0, 0, 0, 0,
    ]);
  });
});

describe("failures", () => {
  test("a request that is refused is dropped and counted; its neighbours are delivered", async () => {
    const kit = createSenderKit({ maxSamplesPerSend: 1 });
    kit.answer = (rows) => (rows[0] === "a=2" ? { status: 400, reason: "duplicate sample" } : {});
    const deliveries = [1, 2, 3].map((value) => kit.offer([kit.segment(`a=${value}`)]));
    await kit.clock.advance(100);
    expect(await Promise.all(deliveries.map(settled))).toEqual(["delivered", "CONSUME_REJECTED", "delivered"]);
    await expect(deliveries[1]).rejects.toMatchObject({
      permanent: true,
      message: expect.stringContaining("duplicate sample"),
    });
    expect([kit.events, kit.counts]).toMatchObject([["rejected 1"], { delivered: 2, dropped: 1 }]);
  });

  test("a batch is told of the first of its rows that was dropped, after its last row", async () => {
    const kit = createSenderKit({ maxSamplesPerSend: 1, maxInFlight: 1 });
    kit.answer = async (rows) => {
      await kit.clock.sleep(10);
      return rows[0] === "a=1" ? { status: 400 } : {};
    };
    const delivery = kit.offer([kit.segment("a=1 b=1 c=1")]);
    await kit.clock.advance(29);
    expect(await settled(delivery)).toBe("pending");
    await kit.clock.advance(1);
    expect(await settled(delivery)).toBe("CONSUME_REJECTED");
    expect(kit.counts).toMatchObject({ delivered: 2, dropped: 1 });
  });

  test("429 is repeated after the time that the server asks for, or is final where the configuration says so", async () => {
    const kit = createSenderKit();
    let first = true;
    kit.answer = () => {
      const answer = first ? { status: 429, retryAfter: "3" } : {};
      first = false;
      return answer;
    };
    const delivery = kit.offer([kit.segment("a=1")]);
    await kit.clock.advance(3000);
    await delivery;
    expect(kit.requests.map(({ atMs }) => atMs)).toEqual([0, 3000]);
    const final = createSenderKit({}, { retryOn429: false });
    final.answer = () => ({ status: 429 });
    const refused = final.offer([final.segment("a=1")]);
    await final.clock.advance(0);
    expect(await settled(refused)).toBe("CONSUME_REJECTED");
  });

  test("after max_elapsed_time the request is dropped and the queue goes on", async () => {
    const kit = createSenderKit({ maxSamplesPerSend: 1 }, { maxElapsedMs: 1000 });
    kit.answer = (rows) => (rows[0] === "a=1" ? { status: 503 } : {});
    const deliveries = [kit.offer([kit.segment("a=1")]), kit.offer([kit.segment("a=2")])];
    await kit.clock.advance(5000);
    expect(await Promise.all(deliveries.map(settled))).toEqual(["CONSUME_UNREACHABLE", "delivered"]);
    expect(kit.events).toContain("expired 1");
  });
});

describe("bounds", () => {
  test("in batches and in bytes: a batch is taken whole or not at all, with every sample counted", () => {
    for (const options of [{ maxQueuedBatches: 2 }, { maxQueuedBytes: 1200 }]) {
      const kit = createSenderKit({ ...options, lingerMs: 1e6 });
      const two = () => [kit.segment("a=1 b=1"), kit.segment("c=1", { lane: 3 })];
      kit.offer(two());
      kit.offer(two());
      const before = kit.sender.queuedSamples;
      expect(() => kit.offer(two())).toThrow(ConsumeError);
      expect(kit.sender.queuedSamples).toBe(before);
      expect([kit.events, kit.counts.queued]).toEqual([["queue_full 3"], 6]);
    }
  });

  test("exemplars of what was not taken, or not delivered at the end, are counted too", async () => {
    const exemplars = [{ row: 0, labels: [["t", "1"]] as const, value: 1, timestampMs: undefined }];
    const dropped: [string, number][] = [];
    const kit = createSenderKit({ maxQueuedBatches: 1, lingerMs: 1e6 }, {}, new Promise(() => {}), (reason, count) =>
      dropped.push([reason, count]),
    );
    const delivery = kit.offer([{ ...kit.segment("a=1"), exemplars }]);
    expect(() => kit.offer([{ ...kit.segment("b=1"), exemplars }])).toThrow(ConsumeError);
    await kit.sender.shutdown(AbortSignal.abort());
    expect([await settled(delivery), dropped]).toEqual([
      "CONSUME_SHUTDOWN",
      [
        ["queue_full", 1],
        ["shutdown", 1],
      ],
    ]);
  });

  test("an empty queue takes a batch that is larger than the bound in bytes, and nothing beside it", async () => {
    const kit = createSenderKit({ maxQueuedBytes: 1, lingerMs: 1000 });
    const delivery = kit.offer([kit.segment("a=1 b=1")]);
    expect(() => kit.offer([kit.segment("c=1")])).toThrow("the queue is full");
    await kit.clock.advance(1000);
    expect(await settled(delivery)).toBe("delivered");
    const next = kit.offer([kit.segment("c=1")]);
    await kit.clock.advance(1000);
    expect(await settled(next)).toBe("delivered");
  });

  test("there is room again once something was delivered", async () => {
    const kit = createSenderKit({ maxQueuedBatches: 1 });
    const delivery = kit.offer([kit.segment("a=1")]);
    expect(() => kit.offer([kit.segment("a=2")])).toThrow("the queue is full (1 requests, limit 1)");
    await delivery;
    await kit.offer([kit.segment("a=3")]);
  });

  test("an empty batch is delivered at once", async () => {
    const kit = createSenderKit();
    await kit.offer([]);
    await kit.offer([kit.segment("")]);
    expect(kit.requests).toEqual([]);
  });
});

describe("shutdown", () => {
  test("sends what waits for more, and is over when all is delivered; works twice at once", async () => {
    const kit = createSenderKit({ lingerMs: 1e6 });
    const delivery = kit.offer([kit.segment("a=1")]);
    const never = new AbortController().signal;
    await Promise.all([kit.sender.shutdown(never), kit.sender.shutdown(never)]);
    expect([await settled(delivery), kit.events]).toEqual(["delivered", []]);
    expect(() => kit.offer([kit.segment("a=2")])).toThrow("the exporter is shutting down");
    expect(kit.clock.sleepers).toBe(0);
  });

  test("at its deadline drops the rest, counted: what is queued and what is under way", async () => {
    const kit = createSenderKit({ maxInFlight: 1, maxSamplesPerSend: 2 });
    kit.answer = (_rows, signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted")), { once: true }));
    const deliveries = [kit.offer([kit.segment("a=1 b=1")]), kit.offer([kit.segment("a=2 b=2 c=2")])];
    const deadline = new AbortController();
    const over = kit.sender.shutdown(deadline.signal);
    await kit.clock.advance(1000);
    deadline.abort();
    await over;
    expect(kit.counts).toMatchObject({ queued: 5, dropped: 5, delivered: 0 });
    expect(await Promise.all(deliveries.map(settled))).toEqual(["CONSUME_SHUTDOWN", "CONSUME_SHUTDOWN"]);
    expect([kit.sender.queuedBatches, kit.sender.inFlight]).toEqual([0, 0]);
  });

  test("keeps on repeating until its deadline", async () => {
    const kit = createSenderKit();
    let failures = 3;
    kit.answer = () => (failures-- > 0 ? { status: 503 } : {});
    const delivery = kit.offer([kit.segment("a=1")]);
    const over = kit.sender.shutdown(new AbortController().signal);
    await kit.clock.advance(1000);
    await over;
    expect(await settled(delivery)).toBe("delivered");
  });
});
