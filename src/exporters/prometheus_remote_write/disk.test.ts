import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { accept, RecordingSink } from "../../../test/kit/recording-sink.ts";
import { createTempFolder } from "../../../test/kit/temp.ts";
import { waitFor } from "../../../test/kit/wait.ts";
import { nodeFromValue } from "../../codec/yaml/parse-yaml.ts";
import type { QueueRequest } from "../../component/queue-storage.ts";
import { openShared } from "../../durable/shared-queues.ts";
import { buildNumbers } from "../../testing/build-points.ts";
import { createTestContext, parseConfig } from "../../testing/test-context.ts";
import { completeRemoteWrite, type RemoteWriteExporterConfig, remoteWriteSchema } from "./config.ts";
import exporterDefinition from "./prometheus_remote_write.ts";

const sources = Array.from({ length: 30 }, (_, i) => `s${i}`);

/** An exporter as a process begins it, with numbers of its own for labels and resources. */
async function start(directory: string, url: string, section: object = {}) {
  const config = parseConfig(exporterDefinition, {
    endpoint: url,
    sending_queue: { storage: "file_storage" },
    retry_on_failure: { initial_interval: "1ms", max_interval: "5ms" },
    ...section,
  }) as RemoteWriteExporterConfig;
  const kit = createTestContext(config, { id: "prometheus_remote_write" });
  const clock = { ...kit.context.clock, now: Date.now, monotonic: () => performance.now() };
  const sleep = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));
  kit.host.extensions.set("file_storage", {
    openQueue: <T>({ name, ...request }: QueueRequest<T>) =>
      openShared<T>({ directory: `${directory}/${name}`, minFreeBytes: 0, now: Date.now, sleep, ...request }),
  });
  const exporter = exporterDefinition.create({ ...kit.context, clock: { ...clock, sleep } });
  await exporter.start?.();
  const offer = async (value: number) =>
    await exporter.metrics?.(
      buildNumbers(
        sources.map((service) => ({
          name: "sent",
          value,
          timeUnixNano: BigInt(1_700_000_000_000 + value) * 1_000_000n,
          resource: { "service.name": service },
        })),
        { identities: kit.identities },
      ),
    );
  const metric = (name: string) =>
    kit.meter
      .collect()
      .filter((one) => one.name === name)
      .flatMap(({ samples }) => samples)
      .reduce((sum, one) => sum + one.value, 0);
  return { exporter, offer, metric };
}

test("points that could not be delivered are delivered after the next start, each series in order", async () => {
  using folder = createTempFolder("remote-write-disk");
  await using sink = await RecordingSink.start();
  const path = sink.path("/write");
  path.respond = () => ({ kind: "reply", status: 503 });
  const before = await start(folder.path, sink.url("/write"));
  for (let value = 1; value <= 20; value++) await before.offer(value);
  await waitFor("an attempt", () => path.requests.length > 0);
  expect(before.metric("millrace_storage_items")).toBeGreaterThanOrEqual(20 * sources.length);
  await before.exporter.shutdown?.(AbortSignal.timeout(2000));
  expect(before.metric("exporter_prometheus_remote_write_dropped_samples_total")).toBe(0);

  path.respond = () => accept;
  const after = await start(folder.path, sink.url("/write"));
  for (let value = 21; value <= 30; value++) await after.offer(value);
  await waitFor("all of it", () => after.metric("millrace_storage_records") === 0);
  await after.exporter.shutdown?.(AbortSignal.timeout(5000));
  for (const service of sources) {
    expect(path.values({ __name__: "sent", job: service })).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
  }
  expect(path.faults).toEqual([]);
});

test("a batch is taken when it is on disk", async () => {
  using folder = createTempFolder("remote-write-disk");
  await using sink = await RecordingSink.start();
  sink.path("/write").respond = () => ({ kind: "hang" });
  const { exporter, offer, metric } = await start(folder.path, sink.url("/write"));
  await offer(1);
  expect(metric("millrace_storage_records")).toBeGreaterThan(0);
  await setImmediate();
  await exporter.shutdown?.(AbortSignal.timeout(10));
});

test.each([
  ["remote_write_queue names it too", { remote_write_queue: { storage: "a" } }, "a", 0, []],
  [
    "max_elapsed_time is written",
    { sending_queue: { storage: "a" }, retry_on_failure: { max_elapsed_time: "10m" } },
    "a",
    600_000,
    [],
  ],
  [
    "bounds of a queue in memory are written",
    { sending_queue: { storage: "a" }, remote_write_queue: { queue_size: 5 } },
    "a",
    0,
    ["remote_write_queue::queue_size: has no effect with storage: the limits are those of a"],
  ],
  [
    "a write-ahead log is asked for",
    { wal: { directory: "/wal" } },
    undefined,
    300_000,
    ["wal: accepted, but has no effect: remote_write_queue::storage keeps the queue on disk"],
  ],
  [
    "the queue is off",
    { sending_queue: { storage: "a" }, remote_write_queue: { enabled: false } },
    undefined,
    300_000,
    ["sending_queue::storage: has no effect while the queue is not enabled"],
  ],
])("storage where %s", (_name, section, storage, maxElapsedMs, expected) => {
  const notices: string[] = [];
  const written = { endpoint: "http://a", ...section };
  const config = completeRemoteWrite(remoteWriteSchema.parse(written), {
    node: nodeFromValue(written),
    path: [],
    env: {},
    issue: ({ path, message }) => void notices.push(`issue ${path}: ${message}`),
    notice: ({ path, message }) => void notices.push(`${path}: ${message}`),
  });
  expect(config.remote_write_queue.storage).toBe(storage);
  expect(config.retry_on_failure.max_elapsed_time).toBe(maxElapsedMs);
  expect(notices).toEqual(expected);
});

test("two names for one queue are an error", () => {
  const section = { endpoint: "http://a", sending_queue: { storage: "a" }, remote_write_queue: { storage: "b" } };
  expect(() => parseConfig(exporterDefinition, section)).toThrow("names another extension");
});
