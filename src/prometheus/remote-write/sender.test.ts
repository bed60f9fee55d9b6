/** The queue of one endpoint: order per series, bounds, retries, shutdown, and what callers are told. */

import { describe, expect, test } from "vitest";
import { readWriteRequest, showBits } from "../../../test/kit/remote-write-message.ts";
import type { SampleExemplar, SamplesSegment } from "../../model/batch.ts";
import { ConsumeError } from "../../model/errors.ts";
import { Identities } from "../../model/identities.ts";
import { type Origin, SamplesLayout } from "../../model/layout.ts";
import { createFakeClock } from "../../testing/fake-clock.ts";
import type { PostAnswer, RetryPolicy } from "./post-request.ts";
import { RemoteWriteSender, type SenderOptions } from "./sender.ts";

type Answer = Partial<PostAnswer> | Error;

interface Request {
  /** `name=value`, exemplars as `name#value`. */
  readonly rows: readonly string[];
  readonly atMs: number;
  readonly headers: Readonly<Record<string, string>>;
}

const startMs = 1_700_000_000_000;

function createKit(
  options: Partial<SenderOptions> = {},
  retry: Partial<RetryPolicy> = {},
  startAfter?: Promise<unknown>,
) {
  const clock = createFakeClock(startMs);
  const identities = new Identities();
  const requests: Request[] = [];
  const events: string[] = [];
  const counts = { queued: 0, delivered: 0, dropped: 0, attempted: 0, exemplars: 0 };
  const kit = {
    answer: (_rows: readonly string[], _signal: AbortSignal): Answer | Promise<Answer> => ({ status: 200 }),
  };
  const sender = new RemoteWriteSender({
    identities,
    options: {
      maxInFlight: 4,
      maxSamplesPerSend: 100,
      maxBytesPerSend: 1 << 20,
      lingerMs: 0,
      maxQueuedBatches: 1000,
      maxQueuedBytes: 1 << 24,
      timeoutMs: 30_000,
      sampleAgeLimitMs: 0,
      sendExemplars: true,
      skipRepeatedExemplars: true,
      ...options,
      retry: {
        enabled: true,
        initialMs: 100,
        maxMs: 1000,
        multiplier: 2,
        randomization: 0,
        maxElapsedMs: 0,
        retryOn429: true,
        ...retry,
      },
    },
    post: async (body, headers, signal) => {
      const rows = rowsOf(body);
      requests.push({ rows, atMs: clock.monotonic(), headers });
      const answer = await kit.answer(rows, signal);
      if (answer instanceof Error) throw answer;
      return { status: 200, retryAfter: undefined, reason: "", ...answer };
    },
    observer: {
      queued: (samples) => {
        counts.queued += samples;
      },
      attempted: (samples) => {
        counts.attempted += samples;
      },
      delivered: (samples, exemplars) => {
        counts.delivered += samples;
        counts.exemplars += exemplars;
      },
      dropped: (reason, samples) => {
        counts.dropped += samples;
        events.push(`${reason} ${samples}`);
      },
      retrying: (message) => events.push(`retry: ${message}`),
      finished: () => {},
    },
    now: clock.now,
    sleep: clock.sleep,
    random: () => 0.5,
    startAfter,
  });
  const offer = (segments: readonly SamplesSegment[]): Promise<void> => {
    const delivery = sender.offer(segments);
    // Tests look at what became of it in their own time.
    delivery.catch(() => {});
    return delivery;
  };
  return Object.assign(kit, {
    sender,
    offer,
    clock,
    identities,
    requests,
    events,
    counts,
    segment: segmentMaker(identities),
  });
}

function rowsOf(body: Uint8Array): string[] {
  return readWriteRequest(body).series.flatMap(({ labels, samples, exemplars }) => {
    const name = labels.find((label) => label.name === "__name__")?.value;
    return [
      ...samples.map(({ bits }) => `${name}=${showBits(bits)}`),
      ...exemplars.map(({ bits }) => `${name}#${showBits(bits)}`),
    ];
  });
}

interface SegmentOptions {
  readonly lane?: number;
  readonly timesMs?: readonly number[];
  readonly exemplars?: readonly SampleExemplar[];
}

/** Makes segments from `a=1 b=2`. */
function segmentMaker(identities: Identities) {
  return (text: string, { lane = 0, timesMs, exemplars }: SegmentOptions = {}): SamplesSegment => {
    const pairs = text
      .split(" ")
      .filter((part) => part !== "")
      .map((part) => part.split("="));
    const labels = Uint32Array.from(pairs, ([name = ""]) => identities.internLabels([["__name__", name]]));
    return {
      form: "samples",
      layout: new SamplesLayout(identities, { labels }, { lane } as Origin),
      from: 0,
      to: pairs.length,
      values: Float64Array.from(pairs, ([, value]) => Number(value)),
      stale: false,
      timestampMs: startMs,
      timestampsMs: timesMs === undefined ? undefined : Float64Array.from(timesMs),
      exemplars,
    };
  };
}

const settled = async (promise: Promise<void>) => {
  let state = "pending";
  promise.then(
    () => {
      state = "delivered";
    },
    (error: ConsumeError) => {
      state = error.code;
    },
  );
  await Promise.resolve();
  await new Promise(setImmediate);
  return state;
};

describe("order", () => {
  test("per series is kept under failures and parallel requests, and nothing is lost or doubled but what was in flight", async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const kit = createKit({ maxSamplesPerSend: 5, maxInFlight: 3 });
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
    const kit = createKit({ maxSamplesPerSend: 1 });
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
    const kit = createKit({}, {}, before.promise);
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
    const kit = createKit({ lingerMs: 5000, maxSamplesPerSend: 3 });
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
    const kit = createKit({ lingerMs: 5000, maxSamplesPerSend: 2 });
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
    const kit = createKit({ maxSamplesPerSend: 7, maxInFlight: 2 });
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
    const kit = createKit({ maxSamplesPerSend: 1 });
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
    const kit = createKit({ maxSamplesPerSend: 1, maxInFlight: 1 });
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
    const kit = createKit();
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
    const final = createKit({}, { retryOn429: false });
    final.answer = () => ({ status: 429 });
    const refused = final.offer([final.segment("a=1")]);
    await final.clock.advance(0);
    expect(await settled(refused)).toBe("CONSUME_REJECTED");
  });

  test("after max_elapsed_time the request is dropped and the queue goes on", async () => {
    const kit = createKit({ maxSamplesPerSend: 1 }, { maxElapsedMs: 1000 });
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
      const kit = createKit({ ...options, lingerMs: 1e6 });
      const two = () => [kit.segment("a=1 b=1"), kit.segment("c=1", { lane: 3 })];
      kit.offer(two());
      kit.offer(two());
      const before = kit.sender.queuedSamples;
      expect(() => kit.offer(two())).toThrow(ConsumeError);
      expect(kit.sender.queuedSamples).toBe(before);
      expect([kit.events, kit.counts.queued]).toEqual([["queue_full 3"], 6]);
    }
  });

  test("there is room again once something was delivered", async () => {
    const kit = createKit({ maxQueuedBatches: 1 });
    const delivery = kit.offer([kit.segment("a=1")]);
    expect(() => kit.offer([kit.segment("a=2")])).toThrow("the queue is full (1 requests, limit 1)");
    await delivery;
    await kit.offer([kit.segment("a=3")]);
  });

  test("an empty batch is delivered at once", async () => {
    const kit = createKit();
    await kit.offer([]);
    await kit.offer([kit.segment("")]);
    expect(kit.requests).toEqual([]);
  });
});

describe("the age limit", () => {
  const ages = (list: readonly number[]) => list.map((age) => startMs - age);

  test("takes every row out that is too old, wherever it stands, and leaves exemplars with their rows", async () => {
    const kit = createKit({ sampleAgeLimitMs: 1000 });
    const exemplars = [1, 2, 3, 5].map((row) => ({ row, labels: [], value: row, timestampMs: undefined }));
    const segment = kit.segment("a=0 b=1 c=2 d=3 e=4 f=5", {
      timesMs: ages([2000, 0, 0, 5000, 1001, 1000]),
      exemplars,
    });
    await kit.offer([segment]);
    expect(kit.requests.flatMap(({ rows }) => rows).sort()).toEqual(["b#1", "b=1", "c#2", "c=2", "f#5", "f=5"]);
    expect(kit.counts).toMatchObject({ queued: 6, delivered: 3, dropped: 3 });
    expect([...new Set(kit.events.map((event) => event.split(" ")[0]))]).toEqual(["too_old"]);
  });

  test("drops rows that grew old in the queue, and a request whose newest row did", async () => {
    const kit = createKit({ sampleAgeLimitMs: 1000, maxInFlight: 1 });
    kit.answer = () => ({ status: 503 });
    const deliveries = [kit.offer([kit.segment("a=1")]), kit.offer([kit.segment("b=1")])];
    await kit.clock.advance(2000);
    expect(await settled(deliveries[0] ?? Promise.resolve())).toBe("CONSUME_UNREACHABLE");
    expect(kit.counts).toMatchObject({ dropped: 2, delivered: 0 });
    expect(kit.events.filter((event) => !event.startsWith("retry"))).toEqual(["expired 1", "too_old 1"]);
    await Promise.allSettled(deliveries);
  });
});

describe("exemplars", () => {
  const one = (value: number, more: Partial<SampleExemplar> = {}): SampleExemplar => ({
    row: 0,
    labels: [["trace", "1"]],
    value,
    timestampMs: 5,
    ...more,
  });

  test("an exemplar that equals the last one of its series leaves once", async () => {
    const kit = createKit();
    for (const value of [1, 1, 2, 1]) await kit.offer([kit.segment("a=1", { exemplars: [one(value)] })]);
    await kit.offer([kit.segment("b=1", { exemplars: [one(1)] })]);
    expect(kit.requests.flatMap(({ rows }) => rows).filter((row) => row.includes("#"))).toEqual([
      "a#1",
      "a#2",
      "a#1",
      "b#1",
    ]);
    expect(kit.counts.exemplars).toBe(4);
  });

  test("all leave where repeats are wanted, none where exemplars are not", async () => {
    for (const [options, count] of [
      [{ skipRepeatedExemplars: false }, 2],
      [{ sendExemplars: false }, 0],
    ] as const) {
      const kit = createKit(options);
      for (const _ of [1, 2]) await kit.offer([kit.segment("a=1", { exemplars: [one(1)] })]);
      expect(kit.counts.exemplars).toBe(count);
    }
  });

  test("one with more than 128 characters of labels does not leave", async () => {
    const kit = createKit();
    const labels = (length: number): [string, string][] => [["id", "\u{1f600}".repeat(length)]];
    await kit.offer([kit.segment("a=1", { exemplars: [one(1, { labels: labels(126) })] })]);
    await kit.offer([kit.segment("b=1", { exemplars: [one(1, { labels: labels(127) })] })]);
    expect(kit.counts.exemplars).toBe(1);
  });
});

describe("shutdown", () => {
  test("sends what waits for more, and is over when all is delivered; works twice at once", async () => {
    const kit = createKit({ lingerMs: 1e6 });
    const delivery = kit.offer([kit.segment("a=1")]);
    const never = new AbortController().signal;
    await Promise.all([kit.sender.shutdown(never), kit.sender.shutdown(never)]);
    expect([await settled(delivery), kit.events]).toEqual(["delivered", []]);
    expect(() => kit.offer([kit.segment("a=2")])).toThrow("the exporter is shutting down");
    expect(kit.clock.sleepers).toBe(0);
  });

  test("at its deadline drops the rest, counted: what is queued and what is under way", async () => {
    const kit = createKit({ maxInFlight: 1, maxSamplesPerSend: 2 });
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
    const kit = createKit();
    let failures = 3;
    kit.answer = () => (failures-- > 0 ? { status: 503 } : {});
    const delivery = kit.offer([kit.segment("a=1")]);
    const over = kit.sender.shutdown(new AbortController().signal);
    await kit.clock.advance(1000);
    await over;
    expect(await settled(delivery)).toBe("delivered");
  });
});
