/** A sender with a clock that a test moves and a server that a test plays. */

import type { SampleExemplar, SamplesSegment } from "../../src/model/batch.ts";
import type { ConsumeError } from "../../src/model/errors.ts";
import { Identities } from "../../src/model/identities.ts";
import { type Origin, SamplesLayout } from "../../src/model/layout.ts";
import type { PostAnswer, RetryPolicy } from "../../src/prometheus/remote-write/post-request.ts";
import { RemoteWriteSender, type SenderOptions } from "../../src/prometheus/remote-write/sender.ts";
import { createFakeClock } from "../../src/testing/fake-clock.ts";
import { readWriteRequest, showBits } from "../kit/remote-write-message.ts";

type Answer = Partial<PostAnswer> | Error;

interface Request {
  /** `name=value`, exemplars as `name#value`. */
  readonly rows: readonly string[];
  readonly atMs: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** Where the clock begins. */
export const startMs = 1_700_000_000_000;

/** The observer counts samples and keeps what was dropped and repeated. */
export function createSenderKit(
  options: Partial<SenderOptions> = {},
  retry: Partial<RetryPolicy> = {},
  startAfter?: Promise<unknown>,
  exemplarsDropped: (reason: string, count: number) => void = () => {},
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
    post: async (body, headers, _timeoutMs, signal) => {
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
      dropped: (reason, samples, exemplars) => {
        exemplarsDropped(reason, exemplars);
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

/** What became of a delivery by now. */
export const settled = async (promise: Promise<void>) => {
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
