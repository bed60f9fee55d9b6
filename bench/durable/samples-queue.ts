/** Queues in a directory, as `millrace agent` and exporters have them, without the rest of them. */

import { DurableQueue } from "../../src/durable/durable-queue.ts";
import { RequestCodec } from "../../src/durable/request-codec.ts";
import { SamplesCodec } from "../../src/durable/samples-codec.ts";
import type { SamplesSegment } from "../../src/model/batch.ts";
import { Identities } from "../../src/model/identities.ts";
import { type Origin, SamplesLayout } from "../../src/model/layout.ts";
import type { OtlpRequest } from "../../src/model/otlp-request.ts";

const originOf = (lane: number) => ({ lane }) as Origin;

export function openSamplesQueue(
  directory: string,
  identities = new Identities(),
): Promise<DurableQueue<SamplesSegment>> {
  return DurableQueue.open<SamplesSegment>({
    directory,
    codec: new SamplesCodec(identities, originOf),
    maxBytes: Number.POSITIVE_INFINITY,
    now: Date.now,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  });
}

/** The queue of an exporter in a directory, without the rest of it. */
export function openRequestQueue(directory: string): Promise<DurableQueue<OtlpRequest>> {
  return DurableQueue.open<OtlpRequest>({
    directory,
    codec: new RequestCodec(),
    maxBytes: Number.POSITIVE_INFINITY,
    now: Date.now,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  });
}

/** Targets, each a lane of its own, and the series of each. */
export interface FillShape {
  readonly targets: number;
  readonly series: number;
}

/** Writes scrapes, by default of 100 targets of 5,000 series, until the directory has so many bytes. */
export async function fillQueue(
  directory: string,
  bytes: number,
  stop: AbortSignal,
  { targets, series }: FillShape = { targets: 100, series: 5000 },
): Promise<void> {
  const identities = new Identities();
  const queue = await openSamplesQueue(directory, identities);
  try {
    const layouts = Array.from({ length: targets }, (_, lane) => {
      const labels = Uint32Array.from({ length: series }, (_, i) =>
        identities.internLabels([
          ["__name__", `metric_${i % 50}_total`],
          ["instance", `127.0.0.1:${10_000 + lane}`],
          ["job", "bench"],
          ["pod", `pod-${i}`],
        ]),
      );
      return new SamplesLayout(identities, { labels }, originOf(lane));
    });
    for (let timestampMs = Date.now(); queue.stats().diskBytes < bytes; timestampMs += 10_000) {
      stop.throwIfAborted();
      const values = Float64Array.from({ length: series }, () => Math.random());
      const form = { form: "samples", from: 0, to: series, values, stale: false, timestampMs } as const;
      await queue.append(layouts.map((layout, lane) => ({ lane, item: { ...form, layout } })));
    }
  } finally {
    await queue.close();
  }
}
