/** One remote_write entry: what it sends to a real server, what it counts, and what becomes of it at a reload and the end. */

import type { IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { readWriteRequest, showBits, type WireMetadata } from "../../../test/kit/remote-write-message.ts";
import { serveHttp } from "../../../test/support/http-servers.ts";
import { MetricRegistry } from "../../component/metric-registry.ts";
import { ConsumeError } from "../../model/errors.ts";
import { Identities, type Label } from "../../model/identities.ts";
import { testRemoteWrite } from "../../prometheus/config/test-decode.ts";
import type { RemoteWriteConfig } from "../../prometheus/config/types.ts";
import type { MetadataEntry } from "../../prometheus/remote-write/encode-request.ts";
import { buildSamples, type SampleRow } from "../../testing/build-samples.ts";
import { createFakeClock } from "../../testing/fake-clock.ts";
import { createTestLogger } from "../../testing/test-context.ts";
import { RemoteWriteEndpoint } from "./remote-write-endpoint.ts";

const startMs = 1_700_000_000_000;

interface Options {
  /** Keys of the entry as flow YAML. */
  readonly keys?: string;
  readonly externalLabels?: readonly Label[];
  readonly metadata?: readonly MetadataEntry[];
  readonly maxQueuedBytes?: number;
  readonly startAfter?: Promise<unknown>;
}

/** An endpoint whose queue sends at once, with a server whose answers a test gives. */
async function createKit(options: Options = {}) {
  const rows: string[] = [];
  const metadata: WireMetadata[][] = [];
  const headers: IncomingMessage["headers"][] = [];
  const kit = { answer: (_body: readonly string[]): number | Promise<number> => 204 };
  const server = await serveHttp(async (request, response) => {
    headers.push(request.headers);
    const message = readWriteRequest(await buffer(request));
    if (message.metadata.length > 0) metadata.push([...message.metadata]);
    const body = message.series.map(({ labels, samples }) => {
      const own = labels.filter(({ name }) => !["instance", "job"].includes(name));
      return `${own.map(({ value }) => value).join(" ")} ${samples.map(({ bits }) => showBits(bits)).join(" ")}`;
    });
    const status = await kit.answer(body);
    if (status < 300) rows.push(...body);
    response.writeHead(status).end(status < 300 ? "" : "told why");
  });
  const identities = new Identities();
  const clock = createFakeClock(startMs);
  const log = createTestLogger();
  const meter = new MetricRegistry();
  const entry = testRemoteWrite(options.keys ?? "name: up");
  const config: RemoteWriteConfig = {
    ...entry,
    url: server.url.replace("//", "//user:hunter2@"),
    queueConfig: { ...entry.queueConfig, batchSendDeadlineMs: 0 },
  };
  const endpoint = new RemoteWriteEndpoint({
    config,
    externalLabels: options.externalLabels ?? [],
    nameScheme: "utf8",
    identities,
    clock,
    log,
    meter,
    userAgent: "test/1",
    env: {},
    maxQueuedBytes: options.maxQueuedBytes ?? 1 << 20,
    startAfter: options.startAfter,
    metadata: () => options.metadata ?? [],
  });
  onTestFinished(() => endpoint.shutdown(AbortSignal.abort()));
  /** Samples of the endpoint's own metrics by name and, where it has one, reason. */
  const counted = (name: string): Record<string, number> => {
    const family = meter.collect().find((one) => one.name === `prometheus_remote_storage_${name}`);
    return Object.fromEntries((family?.samples ?? []).map(({ labels, value }) => [labels["reason"] ?? "", value]));
  };
  const offer = (...samples: SampleRow[]) =>
    endpoint.offer(buildSamples(samples, { identities, timestampMs: startMs }));
  /** Moves the clock, for what waits in the queue, until the condition holds. */
  const until = (holds: () => void) =>
    vi.waitFor(
      async () => {
        await clock.advance(20);
        holds();
      },
      { interval: 1, timeout: 5000 },
    );
  return Object.assign(kit, { endpoint, config, clock, log, meter, rows, metadata, headers, counted, offer, until });
}

const a: SampleRow = { name: "a", value: 1 };
const b: SampleRow = { name: "b", value: 2 };

describe("samples", () => {
  test("arrive with external labels where a series has none of that name", async () => {
    const kit = await createKit({ externalLabels: [["region", "north"]] });
    kit.offer(a, { ...b, labels: { region: "own" } });
    await kit.until(() => expect(kit.rows).toEqual(["a north 1", "b own 2"]));
    expect(kit.headers[0]).toMatchObject({ "user-agent": "test/1", "content-encoding": "snappy" });
  });

  test("that relabeling drops are counted and not sent", async () => {
    const kit = await createKit({
      keys: "write_relabel_configs: [{source_labels: [__name__], regex: a, action: drop}]",
    });
    kit.offer(a, a, b);
    kit.offer(a);
    await kit.until(() => expect(kit.rows).toEqual(["b 2"]));
    expect(kit.counted("samples_dropped_total")).toEqual({ dropped_series: 3 });
    expect(kit.counted("samples_in_total")).toEqual({ "": 1 });
  });

  test("are counted as they travel, under the entry's name and a URL without its password", async () => {
    const kit = await createKit();
    kit.offer(a, b);
    await kit.until(() => expect(kit.counted("queue_highest_sent_timestamp_seconds")).toEqual({ "": startMs / 1000 }));
    expect(kit.endpoint.highestQueuedMs).toBe(startMs);
    expect(kit.counted("samples_total")).toEqual({ "": 2 });
    expect(kit.counted("samples_failed_total")).toEqual({ "": 0 });
    expect(kit.counted("samples_pending")).toEqual({ "": 0 });
    const labels = kit.meter.collect().find(({ name }) => name.endsWith("samples_total"))?.samples[0]?.labels;
    expect(labels).toMatchObject({ remote_name: "up" });
    expect(JSON.stringify(kit.meter.collect())).not.toContain("hunter2");
  });

  test("are dropped with the server's reason when it refuses them, and what follows arrives", async () => {
    const kit = await createKit({ keys: "queue_config: {max_samples_per_send: 1, max_shards: 1}" });
    kit.answer = ([row]) => (row === "a 1" ? 400 : 204);
    kit.offer(a, b);
    await kit.until(() => expect(kit.rows).toEqual(["b 2"]));
    expect(kit.counted("samples_failed_total")).toEqual({ "": 1 });
    expect(kit.counted("samples_dropped_total")).toMatchObject({ rejected: 1 });
    const [error] = kit.log.entries.filter(({ level }) => level === "error");
    expect(error?.fields).toMatchObject({
      reason: "rejected",
      count: 1,
      err: expect.stringMatching(/400: .*told why/),
    });
    expect(JSON.stringify(kit.log.entries)).not.toContain("hunter2");
  });

  test("that a server refuses again and again are logged once a minute, and counted each", async () => {
    const kit = await createKit({ keys: "queue_config: {max_samples_per_send: 1, max_shards: 1}" });
    kit.answer = () => 400;
    kit.offer(a, b, { name: "c", value: 3 });
    await kit.until(() => expect(kit.counted("samples_dropped_total")).toMatchObject({ rejected: 3 }));
    await kit.clock.advance(60_000);
    kit.offer(a);
    await kit.until(() => expect(kit.counted("samples_dropped_total")).toMatchObject({ rejected: 4 }));
    const logged = kit.log.entries.filter(({ message }) => message === "samples dropped");
    expect(logged.map(({ fields }) => fields["count"])).toEqual([1, 3]);
  });

  test.each([500, 503, 429])("are sent again after a %i, with one warning a minute", async (status) => {
    const kit = await createKit();
    let refusals = 5;
    kit.answer = () => (refusals-- > 0 ? status : 204);
    kit.offer(a);
    await kit.until(() => expect(kit.rows).toEqual(["a 1"]));
    expect(kit.counted("samples_retried_total")).toEqual({ "": 5 });
    expect(kit.counted("samples_failed_total")).toEqual({ "": 0 });
    expect(kit.log.entries.map(({ level }) => level)).toEqual(["warn"]);
  });

  test("are dropped after a 429 where retry_on_http_429 is off", async () => {
    const kit = await createKit({ keys: "queue_config: {retry_on_http_429: false}" });
    kit.answer = () => 429;
    kit.offer(a);
    await kit.until(() => expect(kit.counted("samples_failed_total")).toEqual({ "": 1 }));
    expect(kit.counted("samples_retried_total")).toEqual({ "": 0 });
  });

  test("beyond the queue's bound are refused", async () => {
    const kit = await createKit({ maxQueuedBytes: 1000 });
    kit.answer = () => 503;
    expect(() => {
      for (let count = 0; count < 100; count++) kit.offer(a);
    }).toThrow(ConsumeError);
    expect(kit.counted("samples_pending")[""]).toBeGreaterThan(0);
    expect(kit.counted("samples_pending")[""]).toBeLessThan(100);
  });

  test("wait for an earlier queue of the endpoint", async () => {
    const earlier = Promise.withResolvers<void>();
    const kit = await createKit({ startAfter: earlier.promise });
    kit.offer(a);
    for (let count = 0; count < 10; count++) await kit.clock.advance(1);
    expect(kit.headers).toEqual([]);
    earlier.resolve();
    await kit.until(() => expect(kit.rows).toEqual(["a 1"]));
  });
});

describe("reload and end", () => {
  test("a new client sends what comes, the old one finishes what is under way", async () => {
    const kit = await createKit();
    const held = Promise.withResolvers<number>();
    let asked = 0;
    kit.answer = () => (asked++ === 0 ? held.promise : 204);
    kit.offer(a);
    await kit.until(() => expect(asked).toBe(1));
    kit.endpoint.renewClient({ ...kit.config, http: { ...kit.config.http, httpHeaders: [] } });
    held.resolve(204);
    await kit.until(() => expect(kit.rows).toEqual(["a 1"]));
    kit.offer(b);
    await kit.until(() => expect(kit.rows).toEqual(["a 1", "b 2"]));
    expect(kit.counted("samples_retried_total")).toEqual({ "": 0 });
  });

  test("the end delivers what is queued and takes its gauges away", async () => {
    const kit = await createKit();
    kit.endpoint.start();
    kit.offer(a);
    await kit.endpoint.shutdown(new AbortController().signal);
    expect(kit.rows).toEqual(["a 1"]);
    expect(kit.counted("samples_pending")).toEqual({});
    expect(kit.counted("samples_total")).toEqual({ "": 1 });
    expect(kit.clock.sleepers).toBe(0);
  });

  test("the end counts what it could not deliver in time", async () => {
    const kit = await createKit();
    kit.answer = () => 503;
    kit.offer(a, b);
    await kit.until(() => expect(kit.headers.length).toBeGreaterThan(0));
    await kit.endpoint.shutdown(AbortSignal.abort());
    expect(kit.counted("samples_dropped_total")).toMatchObject({ shutdown: 2 });
    expect(kit.counted("samples_failed_total")).toEqual({ "": 2 });
  });
});

describe("metadata", () => {
  const entry = (name: string, help = ""): MetadataEntry => ({ name, type: "counter", help, unit: "" });

  test("is sent once an interval, each entry once, in parts", async () => {
    const keys = "metadata_config: {send_interval: 1m, max_samples_per_send: 2}";
    const metadata = [entry("x"), entry("y"), entry("x"), entry("x", "other")];
    const kit = await createKit({ keys, metadata });
    kit.endpoint.start();
    await kit.clock.advance(59_000);
    expect(kit.metadata).toEqual([]);
    await kit.clock.advance(1000);
    await kit.until(() => expect(kit.metadata.length).toBe(2));
    expect(kit.metadata.map((part) => part.map(({ family, help }) => `${family} ${help}`))).toEqual([
      ["x ", "y "],
      ["x other"],
    ]);
    await kit.until(() => expect(kit.counted("metadata_total")).toEqual({ "": 3 }));
    await kit.clock.advance(60_000);
    await kit.until(() => expect(kit.metadata.length).toBe(4));
  });

  test("is not sent where metadata_config says so", async () => {
    const kit = await createKit({ keys: "metadata_config: {send: false}", metadata: [entry("x")] });
    kit.endpoint.start();
    await kit.clock.advance(120_000);
    expect([kit.headers.length, kit.clock.sleepers]).toEqual([0, 0]);
  });

  test("that the server refuses is counted and logged, and the next is sent", async () => {
    const kit = await createKit({
      keys: "metadata_config: {max_samples_per_send: 1}",
      metadata: [entry("x"), entry("y")],
    });
    kit.answer = () => 400;
    kit.endpoint.start();
    await kit.clock.advance(60_000);
    await kit.until(() => expect(kit.counted("metadata_failed_total")).toEqual({ "": 2 }));
    expect(kit.log.entries.filter(({ level }) => level === "error").map(({ fields }) => fields["count"])).toEqual([1]);
  });
});
