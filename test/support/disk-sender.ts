/** A sender with a queue on forgetful files and a sink that answers as it is told, for tests of what crashes leave. */

import { setImmediate } from "node:timers/promises";
import { DurableQueue } from "../../src/durable/durable-queue.ts";
import { SamplesCodec } from "../../src/durable/samples-codec.ts";
import type { ForgetfulFiles } from "../../src/durable/test-forgetful-files.ts";
import type { SamplesSegment } from "../../src/model/batch.ts";
import { Identities } from "../../src/model/identities.ts";
import { type Origin, SamplesLayout } from "../../src/model/layout.ts";
import { RemoteWriteSender } from "../../src/prometheus/remote-write/sender.ts";
import { numberOf } from "../kit/recording-sink.ts";
import { readWriteRequest, staleBits } from "../kit/remote-write-message.ts";

const origin = (lane: number) => ({ lane }) as Origin;

function openDisk(
  files: ForgetfulFiles,
  identities: Identities,
  fsync: boolean,
): Promise<DurableQueue<SamplesSegment>> {
  return DurableQueue.open<SamplesSegment>({
    directory: "/queue",
    codec: new SamplesCodec(identities, origin),
    segmentBytes: 4096,
    memoryBytes: 2000,
    minFreeBytes: 0,
    fsync,
    now: Date.now,
    sleep: async () => await setImmediate(),
    files: files.process(),
    lock: async () => ({ release: () => {} }),
  });
}

/** The sender that had the queue. */
interface Before {
  readonly disk: DurableQueue<SamplesSegment>;
  readonly identities: Identities;
  readonly ended: Promise<void>;
}

/** Rows at these times are staleness markers. */
const isStaleAt = (timeMs: number) => timeMs % 5 === 0;

/** A sender with a queue on disk; a new one each time the process starts. */
export async function startDiskSender(
  files: ForgetfulFiles,
  status: () => number | Promise<number>,
  { before, fsync = false }: { readonly before?: Before; readonly fsync?: boolean } = {},
) {
  const identities = before?.identities ?? new Identities();
  const disk = before?.disk ?? (await openDisk(files, identities, fsync));
  const delivered: string[] = [];
  const dropped: string[] = [];
  /** Samples that arrived with another value than they had. */
  const changed: string[] = [];
  let isDead = false;
  /** A dead process does nothing more. */
  const alive = async () => {
    await setImmediate();
    if (isDead) await new Promise(() => {});
  };
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
        samples.map(({ timestampMs, bits }) => {
          const row = `${labels.find(({ name }) => name === "__name__")?.value}@${timestampMs}`;
          const isRight = isStaleAt(timestampMs) ? bits === staleBits : numberOf(bits) === timestampMs;
          if (!isRight) changed.push(`${row} ${bits}`);
          return row;
        }),
      );
      const answer = await status();
      if (isDead) await new Promise(() => {});
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
    sleep: alive,
    random: () => 0.5,
  });
  const layouts = [0, 1, 2].map((lane) => {
    const labels = Uint32Array.from({ length: 7 }, (_, i) => identities.internLabels([["__name__", `s${lane}_${i}`]]));
    return new SamplesLayout(identities, { labels }, origin(lane));
  });
  /** A segment of seven series, `s<lane>_<0..6>`, of each lane at a time. */
  const offer = async (timestampMs: number, lanes: readonly number[] = [0, 1, 2]) =>
    await sender.accept(
      layouts
        .filter((_, lane) => lanes.includes(lane))
        .map((layout) => ({
          form: "samples",
          layout,
          from: 0,
          to: 7,
          values: new Float64Array(7).fill(timestampMs),
          stale: isStaleAt(timestampMs),
          timestampMs,
        })),
    );
  const idle = async () => {
    while (disk.stats().records > 0 || sender.inFlight > 0) await setImmediate();
  };
  /** The process ends here and now; the files are told by whoever calls. */
  const die = () => {
    isDead = true;
  };
  return { sender, disk, identities, offer, idle, die, delivered, dropped, changed };
}

/** Times by series, in the order of arrival, of rows written `series@time`. */
export function perSeries(rows: readonly string[]): Map<string, number[]> {
  const series = new Map<string, number[]>();
  for (const row of rows) {
    const [name = "", time] = row.split("@");
    series.set(name, [...(series.get(name) ?? []), Number(time)]);
  }
  return series;
}
