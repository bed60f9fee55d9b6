import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { readWriteRequest } from "../../../test/kit/remote-write-message.ts";
import { DurableQueue } from "../../durable/durable-queue.ts";
import { SamplesCodec } from "../../durable/samples-codec.ts";
import { ForgetfulFiles } from "../../durable/test-forgetful-files.ts";
import type { SamplesSegment } from "../../model/batch.ts";
import { Identities } from "../../model/identities.ts";
import { type Origin, SamplesLayout } from "../../model/layout.ts";
import { RemoteWriteSender } from "./sender.ts";

const origin = (lane: number) => ({ lane }) as Origin;

function openDisk(files: ForgetfulFiles, identities: Identities): Promise<DurableQueue<SamplesSegment>> {
  return DurableQueue.open<SamplesSegment>({
    directory: "/queue",
    codec: new SamplesCodec(identities, origin),
    segmentBytes: 4096,
    memoryBytes: 2000,
    minFreeBytes: 0,
    now: Date.now,
    sleep: async () => await setImmediate(),
    files: files.process(),
    lock: async () => ({ release: () => {} }),
  });
}

/** A sender with a queue on disk and a sink that answers as it is told; a new one each time the process starts. */
async function startSender(
  files: ForgetfulFiles,
  status: () => number | Promise<number>,
  before?: {
    readonly disk: DurableQueue<SamplesSegment>;
    readonly identities: Identities;
    readonly ended: Promise<void>;
  },
) {
  const identities = before?.identities ?? new Identities();
  const disk = before?.disk ?? (await openDisk(files, identities));
  const delivered: string[] = [];
  const dropped: string[] = [];
  const sender = new RemoteWriteSender({
    identities,
    disk,
    startAfter: before?.ended,
    options: {
      maxInFlight: 3,
      maxSamplesPerSend: 10,
      maxBytesPerSend: 1 << 20,
      lingerMs: 0,
      maxQueuedBatches: 1,
      maxQueuedBytes: 1,
      timeoutMs: 10_000,
      sampleAgeLimitMs: 0,
      sendExemplars: true,
      skipRepeatedExemplars: true,
      retry: {
        enabled: true,
        initialMs: 1,
        maxMs: 1,
        multiplier: 1,
        randomization: 0,
        maxElapsedMs: 0,
        retryOn429: true,
      },
    },
    post: async (body) => {
      const rows = readWriteRequest(body).series.flatMap(({ labels, samples }) =>
        samples.map(({ timestampMs }) => `${labels.find(({ name }) => name === "__name__")?.value}@${timestampMs}`),
      );
      const answer = await status();
      if (answer < 300) delivered.push(...rows);
      return { status: answer, retryAfter: undefined, reason: "" };
    },
    observer: {
      queued: () => {},
      attempted: () => {},
      delivered: () => {},
      dropped: (reason, samples) => dropped.push(`${reason} ${samples}`),
      retrying: () => {},
      finished: () => {},
    },
    now: Date.now,
    sleep: async () => await setImmediate(),
    random: () => 0.5,
  });
  const layouts = [0, 1, 2].map((lane) => {
    const labels = Uint32Array.from({ length: 7 }, (_, i) => identities.internLabels([["__name__", `s${lane}_${i}`]]));
    return new SamplesLayout(identities, { labels }, origin(lane));
  });
  /** A segment of each lane at a time. */
  const offer = async (timestampMs: number) =>
    await sender.accept(
      layouts.map((layout) => ({
        form: "samples",
        layout,
        from: 0,
        to: 7,
        values: new Float64Array(7).fill(timestampMs),
        stale: false,
        timestampMs,
      })),
    );
  const idle = async () => {
    while (disk.stats().records > 0 || sender.inFlight > 0) await setImmediate();
  };
  return { sender, disk, identities, offer, idle, delivered, dropped };
}

function perSeries(rows: readonly string[]): Map<string, number[]> {
  const series = new Map<string, number[]>();
  for (const row of rows) {
    const [name = "", time] = row.split("@");
    series.set(name, [...(series.get(name) ?? []), Number(time)]);
  }
  return series;
}

const times = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

test("delivers from disk in the order of each series", async () => {
  const { offer, idle, delivered, sender, disk } = await startSender(new ForgetfulFiles(), () => 200);
  for (const time of times(1, 50)) await offer(time);
  await idle();
  const series = perSeries(delivered);
  expect(series.size).toBe(21);
  for (const got of series.values()) expect(got).toEqual(times(1, 50));
  await sender.shutdown(AbortSignal.timeout(1000));
  await disk.close();
});

test("an outage and kills lose nothing; what arrives twice was under way", async () => {
  const files = new ForgetfulFiles();
  const all: string[] = [];
  for (let round = 0; round < 20; round++) {
    const isDown = round % 3 === 0;
    const { offer, delivered, idle } = await startSender(files, () => (isDown ? 503 : 200));
    for (const time of times(round * 10 + 1, round * 10 + 10)) await offer(time);
    if (round === 19) await idle();
    else for (let turns = (round * 7) % 60; turns > 0; turns--) await setImmediate();
    files.kill();
    all.push(...delivered);
  }
  const series = perSeries(all);
  let doubled = 0;
  for (const got of series.values()) {
    expect([...new Set(got)].sort((a, b) => a - b)).toEqual(times(1, 200));
    // Nothing new comes before something older: a repeat goes back, and from there on in order.
    const first = got.filter((time, i) => got.indexOf(time) === i);
    expect(first).toEqual(times(1, 200));
    doubled += got.length - 200;
  }
  // Three requests of at most ten samples at each of nineteen kills.
  expect(doubled).toBeLessThanOrEqual(19 * 30);
});

test("a shutdown during an outage ends at once, counts nothing as lost, and the next start delivers", async () => {
  const files = new ForgetfulFiles();
  const first = await startSender(files, () => 503);
  await first.offer(1);
  for (let i = 0; i < 20; i++) await setImmediate();
  await first.sender.shutdown(AbortSignal.timeout(30_000));
  await first.disk.close();
  expect(first.dropped).toEqual([]);
  const second = await startSender(files, () => 200);
  await second.idle();
  expect(second.delivered.length).toBe(21);
});

test("what is refused for good is counted and not sent again", async () => {
  const files = new ForgetfulFiles();
  const first = await startSender(files, () => 400);
  await first.offer(1);
  await first.idle();
  expect(first.dropped.length).toBeGreaterThan(0);
  files.kill();
  expect((await startSender(files, () => 200)).disk.stats().records).toBe(0);
});

test("a successor goes on with the same queue, and what comes meanwhile keeps its place", async () => {
  const files = new ForgetfulFiles();
  const first = await startSender(files, async () => {
    await setImmediate();
    return 200;
  });
  for (const time of times(1, 20)) await first.offer(time);
  const ended = first.sender.shutdown(AbortSignal.timeout(30_000), true);
  const second = await startSender(files, () => 200, { ...first, ended });
  for (const time of times(21, 30)) await second.offer(time);
  await second.idle();
  const all = perSeries([...first.delivered, ...second.delivered]);
  expect(all.size).toBe(21);
  for (const got of all.values()) expect(got).toEqual(times(1, 30));
  expect(second.delivered.length).toBeGreaterThan(0);
});
