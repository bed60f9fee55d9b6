import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { RecordingSink } from "../../test/kit/recording-sink.ts";
import { createTempFolder } from "../../test/kit/temp.ts";
import { encodeExportResponse } from "../codec/otlp/export-response.ts";
import type { Damage } from "../durable/damage.ts";
import { DurableQueue } from "../durable/durable-queue.ts";
import { systemFiles } from "../durable/file-layer.ts";
import { inspectQueue } from "../durable/inspect-queue.ts";
import type { ItemCodec } from "../durable/item-codec.ts";
import { RequestCodec } from "../durable/request-codec.ts";
import { SamplesCodec } from "../durable/samples-codec.ts";
import type { SamplesSegment } from "../model/batch.ts";
import { Identities } from "../model/identities.ts";
import { SamplesLayout } from "../model/layout.ts";
import { translatedOrigin } from "../prometheus/translation/translated-layout.ts";
import { buildLogs, buildTraces } from "../testing/build-otlp.ts";
import { parseReplayUrl, type ReplayOptions, replayQueue } from "./replay-queue.ts";

const open = <T>(directory: string, codec: ItemCodec<T>) =>
  DurableQueue.open<T>({ directory, codec, minFreeBytes: 0, now: Date.now, sleep: async () => {} });

async function fillSamples(directory: string): Promise<void> {
  const identities = new Identities();
  const queue = await open<SamplesSegment>(directory, new SamplesCodec(identities, translatedOrigin));
  for (let lane = 0; lane < 3; lane++) {
    const labels = Uint32Array.of(identities.internLabels([["__name__", `lane${lane}`]]));
    const layout = new SamplesLayout(identities, { labels }, translatedOrigin(lane));
    for (let value = 1; value <= 10; value++) {
      const values = Float64Array.of(value);
      const item: SamplesSegment = {
        form: "samples",
        layout,
        from: 0,
        to: 1,
        values,
        stale: false,
        timestampMs: value,
      };
      await queue.append([{ lane, item }]);
    }
  }
  await queue.close();
}

const replay = (
  directory: string,
  to: string,
  acknowledge: boolean,
  events: Pick<ReplayOptions, "damaged" | "lost" | "refused"> = {},
) =>
  replayQueue(
    { directory, to: parseReplayUrl(to), headers: { "X-Scope": "me" }, acknowledge, giveUpMs: 300, env: {}, ...events },
    new AbortController().signal,
  );

async function waitingRecords(directory: string): Promise<number> {
  const { segments } = await inspectQueue(systemFiles, directory, false);
  return segments.reduce((sum, { waiting }) => sum + waiting, 0);
}

test("samples go by remote write, in order, and stay unless they are to be acknowledged", async () => {
  using folder = createTempFolder("replay");
  await using sink = await RecordingSink.start();
  const path = sink.path("/write");
  await fillSamples(folder.path);
  const expected = { records: 30, items: 30, failure: undefined };
  expect(await replay(folder.path, sink.url("/write"), false)).toEqual(expected);
  expect(await waitingRecords(folder.path)).toBe(30);
  expect(await replay(folder.path, sink.url("/write"), true)).toEqual(expected);
  expect(await waitingRecords(folder.path)).toBe(0);
  const once = Array.from({ length: 10 }, (_, i) => i + 1);
  for (let lane = 0; lane < 3; lane++) expect(path.values({ __name__: `lane${lane}` })).toEqual([...once, ...once]);
  expect(path.requests[0]?.headers["x-scope"]).toBe("me");
  expect(path.faults).toEqual([]);
});

test("what is refused ends the replay, and is still there with all behind it", async () => {
  using folder = createTempFolder("replay");
  await using sink = await RecordingSink.start();
  await fillSamples(folder.path);
  sink.path("/write").respond = ({ index }) => ({ kind: "reply", status: index < 4 ? 204 : 400 });
  const { records, failure } = await replay(folder.path, sink.url("/write"), true);
  expect([records, failure]).toEqual([4, expect.stringContaining("HTTP status 400")]);
  expect(await waitingRecords(folder.path)).toBe(26);
  sink.path("/write").respond = () => ({ kind: "reply", status: 503 });
  expect(await replay(folder.path, sink.url("/write"), true)).toMatchObject({ records: 0 });
  expect(await waitingRecords(folder.path)).toBe(26);
});

test("what is damaged is named, counted, and not sent", async () => {
  using folder = createTempFolder("replay");
  await using sink = await RecordingSink.start();
  const path = sink.path("/write");
  await fillSamples(folder.path);
  const segment = folder.file("segment-000000000001.mrq");
  const bytes = readFileSync(segment);
  const marker = Buffer.of(0x4e, 0x9a, 0xc1, 0xd7);
  // In the payload of the last record.
  const at = bytes.lastIndexOf(marker) + 50;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(segment, bytes);
  const damage: Damage[] = [];
  const lost: number[][] = [];
  const events = {
    damaged: (one: Damage) => damage.push(one),
    lost: (...counts: [records: number, items: number]) => lost.push(counts),
  };
  expect(await replay(folder.path, sink.url("/write"), true, events)).toMatchObject({ records: 29, items: 29 });
  expect(damage).toMatchObject([{ file: segment, kind: "record" }]);
  expect(lost).toEqual([[1, 1]]);
  expect(path.values({ __name__: "lane2" })).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

/** A server that answers every request with `body`, and keeps what it got. */
async function startOtlpServer(body: Uint8Array) {
  const got: [string | undefined, Buffer][] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      got.push([request.url, gunzipSync(Buffer.concat(chunks))]);
      response.writeHead(200, { "Content-Type": "application/x-protobuf" }).end(body);
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const stop = () => {
    server.closeAllConnections();
    server.close();
  };
  const { port } = server.address() as AddressInfo;
  return { got, url: `http://127.0.0.1:${port}/base/`, [Symbol.dispose]: stop };
}

test("requests go by OTLP, each to the path of its signal", async () => {
  using folder = createTempFolder("replay");
  const queue = await open(folder.path, new RequestCodec());
  const requests = [...buildTraces([{ name: "item-1." }]).requests, ...buildLogs([{ body: "item-2." }]).requests];
  for (const item of requests) await queue.append([{ lane: 5, item }]);
  await queue.close();
  using server = await startOtlpServer(Buffer.alloc(0));
  expect(await replay(folder.path, server.url, true)).toEqual({ records: 2, items: 2, failure: undefined });
  expect(server.got).toEqual([
    ["/base/v1/traces", Buffer.from(requests[0]?.bytes ?? [])],
    ["/base/v1/logs", Buffer.from(requests[1]?.bytes ?? [])],
  ]);
  expect(await waitingRecords(folder.path)).toBe(0);
});

test("items that a server refused in a request that it took are told, and not counted as delivered", async () => {
  using folder = createTempFolder("replay");
  const queue = await open(folder.path, new RequestCodec());
  for (const item of buildLogs([{ body: "1" }, { body: "2" }, { body: "3" }]).requests) {
    await queue.append([{ lane: 5, item }]);
  }
  await queue.close();
  using server = await startOtlpServer(encodeExportResponse({ rejectedItems: 2n, errorMessage: "too old" }));
  const refused: [number, string][] = [];
  const events = { refused: (...event: [number, string]) => refused.push(event) };
  expect(await replay(folder.path, server.url, true, events)).toMatchObject({ records: 1, items: 1 });
  expect(refused).toEqual([[2, "too old"]]);
});

test("a queue that is in use is refused", async () => {
  using folder = createTempFolder("replay");
  const queue = await open(folder.path, new RequestCodec());
  await expect(replay(folder.path, "http://127.0.0.1:1", false)).rejects.toMatchObject({ code: "STORAGE_LOCKED" });
  await queue.close();
});

test.each(["ftp://a", "nowhere", ""])("%j is no place to send to", (text) => {
  expect(() => parseReplayUrl(text)).toThrow("--to: expected an http or https URL");
});
