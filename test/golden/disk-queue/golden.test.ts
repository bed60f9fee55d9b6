/**
 * Queues on disk as each version of the form wrote them, in the state that a killed process leaves: every later version reads
 * them. `UPDATE=1` writes the file of a new version; those of earlier ones are never written again.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { DurableQueue } from "../../../src/durable/durable-queue.ts";
import { systemFiles } from "../../../src/durable/file-layer.ts";
import { inspectQueue } from "../../../src/durable/inspect-queue.ts";
import type { ItemCodec } from "../../../src/durable/item-codec.ts";
import { formatVersion } from "../../../src/durable/record-format.ts";
import { RequestCodec } from "../../../src/durable/request-codec.ts";
import { SamplesCodec } from "../../../src/durable/samples-codec.ts";
import type { SamplesSegment } from "../../../src/model/batch.ts";
import { Identities } from "../../../src/model/identities.ts";
import { none } from "../../../src/model/intern-table.ts";
import type { OtlpRequest, Signal } from "../../../src/model/otlp-request.ts";
import { translatedOrigin } from "../../../src/prometheus/translation/translated-layout.ts";
import { buildSamples, type SampleRow } from "../../../src/testing/build-samples.ts";
import { createTempFolder } from "../../kit/temp.ts";

const root = fileURLToPath(new URL(".", import.meta.url));
const startMs = 1_700_000_000_000;
/** Queue, file, its bytes by zstd in base64. */
type Stored = Record<string, Record<string, string>>;

const rows: readonly SampleRow[] = [
  { name: "requests_total", labels: { path: "/\u00e4" }, value: 7, type: "counter", help: "Requests." },
  { name: "temperature_celsius", value: -0, type: "gauge", unit: "celsius", timestampMs: startMs - 17 },
  { name: "undeclared", value: Number.MAX_VALUE, stale: true },
  {
    name: "latency_bucket",
    labels: { le: "+Inf" },
    value: 3,
    type: "histogram",
    exemplar: { labels: { trace_id: "abc" }, value: 0.5, timestampMs: startMs - 1 },
  },
];

const signals: readonly Signal[] = ["metrics", "traces", "logs"];
/** The queue looks at none of it: below and above what is compressed. */
const requests: readonly OtlpRequest[] = signals.flatMap((signal, i) =>
  [100, 5000].map((length) => ({ signal, bytes: Buffer.alloc(length, `${signal} `), items: i + length })),
);

function samplesCodec(identities: Identities): SamplesCodec {
  return new SamplesCodec(identities, translatedOrigin);
}

async function open<T>(directory: string, codec: ItemCodec<T>): Promise<DurableQueue<T>> {
  const parts = { now: () => startMs, sleep: (ms: number) => sleep(ms, undefined, { ref: false }) };
  const queue = await DurableQueue.open<T>({ directory, codec, segmentBytes: 4096, minFreeBytes: 0, ...parts });
  queue.begin(() => {});
  return queue;
}

async function take<T>(queue: DurableQueue<T>, lane: number) {
  for (let handed = queue.take(lane); ; handed = queue.take(lane)) {
    if (handed !== undefined || !queue.hasMore(lane)) return handed;
    await sleep(1);
  }
}

/** What is not acknowledged. */
async function drain<T>(directory: string, codec: ItemCodec<T>, show: (item: T) => unknown) {
  const queue = await open(directory, codec);
  const found: unknown[] = [];
  for (const { lane } of queue.lanes().sort((a, b) => a.lane - b.lane)) {
    for (let handed = await take(queue, lane); handed !== undefined; handed = await take(queue, lane)) {
      const { sequence, done, timeMs, item } = handed;
      found.push({ lane, sequence, done, timeMs, item: show(item) });
    }
  }
  await queue.close();
  return found;
}

/** Several segments, the last without an index and with a torn tail; the first record delivered, the second in part. */
async function make<T>(directory: string, codec: ItemCodec<T>, items: readonly T[]): Promise<Record<string, string>> {
  await (await open(directory, codec)).close();
  const queue = await open(directory, codec);
  for (const item of items) {
    for (let i = 0; i < 20; i++) await queue.append([0, 1, 4095].map((lane) => ({ lane, item })));
  }
  const first = await take(queue, 1);
  await queue.acknowledge([[1, { sequence: first?.sequence ?? 0, done: 0 }]]);
  const next = await take(queue, 1);
  await queue.acknowledge([[1, { sequence: (next?.sequence ?? 0) - 1, done: 1 }]]);
  const names = readdirSync(directory).filter((name) => !name.startsWith("lock"));
  const last = names.filter((name) => name.startsWith("segment")).at(-1);
  const files = names.map((name) => {
    const bytes = readFileSync(join(directory, name));
    const killed = name === last ? bytes.subarray(0, bytes.length - 5) : bytes;
    return [name, zstdCompressSync(killed).toString("base64")] as const;
  });
  await queue.close();
  return Object.fromEntries(files);
}

const itemsOf = {
  samples: (identities: Identities) => buildSamples(rows, { identities }).segments as readonly SamplesSegment[],
  requests: () => requests,
};

const showSamples =
  (identities: Identities) =>
  ({ layout, from, to, values, stale, timestampMs, timestampsMs, exemplars }: SamplesSegment) => ({
    rows: Array.from(values, (value, i) => {
      const labels = identities.labels((layout.labels ?? new Uint32Array())[from + i] as number);
      const id = layout.families[from + i] as number;
      const family = id === none ? undefined : identities.families.get(id);
      return { labels, value, family: family?.type, help: family?.help };
    }),
    range: [from, to],
    stale: typeof stale === "boolean" ? stale : [...stale],
    times: timestampsMs === undefined ? timestampMs : [...timestampsMs],
    exemplars,
  });

const current = join(root, `version-${formatVersion}.json`);
if (process.env["UPDATE"] === "1" && !existsSync(current)) {
  using folder = createTempFolder("golden-queue");
  const identities = new Identities();
  const stored: Stored = {
    samples: await make(folder.file("samples"), samplesCodec(identities), itemsOf.samples(identities)),
    requests: await make(folder.file("requests"), new RequestCodec(), itemsOf.requests()),
  };
  writeFileSync(current, `${JSON.stringify(stored, undefined, 1)}\n`);
}

const versions = readdirSync(root).flatMap((name) => /^version-(\d+)\.json$/.exec(name)?.[1] ?? []);

test("the form that is written has a file", () => {
  expect(versions).toContain(String(formatVersion));
});

describe.each(versions)("a queue of version %s", (version) => {
  const stored = JSON.parse(readFileSync(join(root, `version-${version}.json`), "utf8")) as Stored;

  async function restore(folder: { file(name: string): string }, name: "samples" | "requests"): Promise<string> {
    const directory = folder.file(name);
    mkdirSync(directory);
    for (const [file, text] of Object.entries(stored[name] ?? {})) {
      writeFileSync(join(directory, file), zstdDecompressSync(Buffer.from(text, "base64")));
    }
    const { segments, damage } = await inspectQueue(systemFiles, directory, true);
    expect(segments.length).toBeGreaterThan(1);
    expect(damage.map(({ kind }) => kind)).toEqual(["tail"]);
    return directory;
  }

  /** All but the last, which is torn, in lane 1 behind what was delivered. */
  function expected<T>(items: readonly T[], show: (item: T) => unknown) {
    const all = items.flatMap((item) => Array.from({ length: 60 }, () => show(item)));
    return [0, 1, 4095].flatMap((lane, at) =>
      all.flatMap((item, i) => {
        if (i % 3 !== at || (lane === 1 && i < 3) || i === all.length - 1) return [];
        return [{ lane, sequence: i + 1, done: lane === 1 && i === 4 ? 1 : 0, timeMs: startMs, item }];
      }),
    );
  }

  test("of samples is read", async () => {
    using folder = createTempFolder("golden-queue");
    const before = new Identities();
    const after = new Identities();
    const directory = await restore(folder, "samples");
    const found = await drain(directory, samplesCodec(after), showSamples(after));
    expect(found).toEqual(expected(itemsOf.samples(before), showSamples(before)));
  });

  test("of requests is read", async () => {
    using folder = createTempFolder("golden-queue");
    const show = ({ signal, bytes, items }: OtlpRequest) => ({ signal, items, text: Buffer.from(bytes).toString() });
    const found = await drain(await restore(folder, "requests"), new RequestCodec(), show);
    expect(found).toEqual(expected(requests, show));
  });
});
