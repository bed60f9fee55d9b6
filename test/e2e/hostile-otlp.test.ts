/** Hostile OTLP clients of the built command: it lives, its memory is bounded, and a good client is served all the while. */

import { readdirSync, readFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { compressSync } from "snappy";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Signal } from "../../src/model/otlp-request.ts";
import { buildTraces } from "../../src/testing/build-otlp.ts";
import { createGrpcClient } from "../../src/transport/grpc-client.ts";
import { grpcCodes } from "../../src/transport/grpc-status.ts";
import { encodeFrame, encodeHeaderBlock, settingsFrame } from "../../src/transport/http2-wire.ts";
import { signals } from "../kit/otlp-arbitrary.ts";
import { nestedJson, nestedProtobuf } from "../kit/otlp-nested.ts";
import { type OtlpRun, startOtlpRun } from "../kit/otlp-run.ts";
import { otlpMethods, otlpPaths } from "../kit/otlp-traffic.ts";

const corpus = new URL("../corpus/otlp/", import.meta.url);
const mutationsOfEach = 40;
const maxResidentBytes = 700e6;
const maxAnswerMs = 10_000;
const mib = 1024 * 1024;

interface Body {
  readonly title: string;
  readonly signal: Signal;
  readonly bytes: Buffer;
  readonly type: "application/x-protobuf" | "application/json";
  readonly encoding?: "gzip" | "zstd" | "snappy" | undefined;
}

const encodings = { gz: "gzip", zst: "zstd", snappy: "snappy" } as const;

const bodies: readonly Body[] = readdirSync(corpus)
  .filter((name) => !name.endsWith(".md"))
  .map((name) => {
    const parts = name.split(".");
    return {
      title: name,
      signal: signals.find((signal) => signal === parts[0]) ?? "metrics",
      bytes: readFileSync(new URL(name, corpus)),
      type: name.endsWith(".json") ? "application/json" : "application/x-protobuf",
      encoding: encodings[parts.at(-1) as keyof typeof encodings],
    };
  });

const protobuf = "application/x-protobuf" as const;
const json = "application/json" as const;
const bombs: readonly Body[] = [
  { title: "gzip bomb", signal: "metrics", bytes: gzipSync(Buffer.alloc(200 * mib)), type: protobuf, encoding: "gzip" },
  {
    title: "zstd bomb",
    signal: "traces",
    bytes: zstdCompressSync(Buffer.alloc(200 * mib)),
    type: protobuf,
    encoding: "zstd",
  },
  {
    title: "snappy bomb",
    signal: "logs",
    bytes: compressSync(Buffer.alloc(200 * mib)) as Buffer,
    type: protobuf,
    encoding: "snappy",
  },
  { title: "nested protobuf", signal: "logs", bytes: nestedProtobuf(20_000), type: protobuf },
  { title: "nested JSON", signal: "logs", bytes: Buffer.from(nestedJson(20_000)), type: json },
];

/** Numbers of a seed, the same in every run. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Cut, changed, repeated or all noise. */
function mutate(bytes: Buffer, random: (below: number) => number): Buffer {
  const kind = random(8);
  if (kind === 0) return Buffer.from(Array.from({ length: random(400) }, () => random(256)));
  if (kind === 1) return bytes.subarray(0, random(bytes.length + 1));
  const changed = Buffer.from(bytes);
  for (let i = random(6); i >= 0; i--) changed[random(changed.length)] = kind < 5 ? random(256) : 0xff;
  if (kind !== 2) return changed;
  const from = random(changed.length);
  return Buffer.concat([changed.subarray(0, from), changed.subarray(random(from + 1))]);
}

let run: OtlpRun;

beforeAll(async () => {
  run = await startOtlpRun(
    Object.fromEntries(
      signals.flatMap((signal) => [
        [`${signal}/plain`, []],
        [`${signal}/opened`, ["attributes"]],
      ]),
    ),
  );
});
afterAll(() => run?.stop());

async function post({ signal, bytes, type, encoding }: Body): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${run.ports.http}${otlpPaths[signal]}`, {
    method: "POST",
    headers: { "content-type": type, ...(encoding === undefined ? {} : { "content-encoding": encoding }) },
    body: Uint8Array.from(bytes),
    signal: AbortSignal.timeout(maxAnswerMs),
  });
  await response.arrayBuffer();
  return response.status;
}

const [good] = buildTraces([{ name: "good" }]).requests;

/** While the attack runs, a good client is answered OK by both protocols; then the process lives within its memory. */
async function attack(work: () => Promise<void>): Promise<void> {
  const client = createGrpcClient({ target: `127.0.0.1:${run.ports.grpc}`, userAgent: "good" });
  const message = good?.bytes ?? new Uint8Array();
  const body: Body = { title: "good", signal: "traces", bytes: Buffer.from(message), type: protobuf };
  let isOver = false;
  const attacking = work().finally(() => {
    isOver = true;
  });
  let served = 0;
  let peakBytes = 0;
  do {
    expect(await post(body)).toBe(200);
    const answer = await client.call({ path: otlpMethods.traces, message, timeoutMs: maxAnswerMs });
    expect(answer.code, answer.message).toBe(grpcCodes.OK);
    served++;
    peakBytes = Math.max(peakBytes, run.millrace.residentBytes());
    await new Promise((resolve) => setTimeout(resolve, 10));
  } while (!isOver);
  await attacking;
  client.destroy();
  expect(served).toBeGreaterThan(0);
  expect(run.millrace.isRunning, run.millrace.tail()).toBe(true);
  expect(peakBytes).toBeLessThan(maxResidentBytes);
}

function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  return new Promise((resolve) => socket.once("connect", () => resolve(socket)));
}

/** Sends to a port and waits until the server ends the connection. */
async function throwAt(port: number, bytes: Uint8Array | string): Promise<void> {
  const socket = await open(port);
  socket.resume();
  socket.write(bytes);
  const timer = setTimeout(() => socket.destroy(), maxAnswerMs);
  await new Promise((resolve) => socket.once("close", resolve));
  clearTimeout(timer);
}

const noBytes = new Uint8Array();
const callHead = encodeHeaderBlock({
  ":method": "POST",
  ":scheme": "http",
  ":path": otlpMethods.logs,
  "content-type": "application/grpc",
});
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

describe("hostile clients of the built command", () => {
  it("the corpus and its mutations over HTTP are taken or refused for good", async () => {
    const random = randomOf(20261121);
    const allowed = new Set([200, 400, 413]);
    await attack(async () => {
      for (const body of bodies) {
        const status = await post(body);
        expect(allowed, `${body.title}: ${status}`).toContain(status);
        for (let i = 0; i < mutationsOfEach; i++) {
          const mutated = await post({ ...body, bytes: mutate(body.bytes, random) });
          expect(allowed, `mutation ${i} of ${body.title}: ${mutated}`).toContain(mutated);
        }
      }
    });
  });

  it("the corpus and its mutations over gRPC are taken or refused for good", async () => {
    const random = randomOf(20261122);
    const allowed = new Set<number>([grpcCodes.OK, grpcCodes.INVALID_ARGUMENT]);
    await attack(async () => {
      const client = createGrpcClient({ target: `127.0.0.1:${run.ports.grpc}`, userAgent: "hostile" });
      for (const { title, signal, bytes } of bodies) {
        for (let i = 0; i < mutationsOfEach; i++) {
          const message = i === 0 ? bytes : mutate(bytes, random);
          const { code } = await client.call({ path: otlpMethods[signal], message, timeoutMs: maxAnswerMs });
          expect(allowed, `mutation ${i} of ${title}: ${code}`).toContain(code);
        }
      }
      client.destroy();
    });
  });

  it.each(bombs.map((bomb) => [bomb.title, bomb] as const))(
    "a %s is refused, many times at once",
    async (_title, bomb) => {
      await attack(async () => {
        const statuses = await Promise.all(Array.from({ length: 8 }, () => post(bomb)));
        for (const status of statuses) expect([400, 413, 429]).toContain(status);
      });
    },
  );

  it.each([
    ["text/plain", 415],
    ["application/x-protobuf, application/json", 415],
    ["application/grpc", 415],
  ])("the content type %s is answered %i", async (type, status) => {
    expect(await post({ title: type, signal: "logs", bytes: Buffer.alloc(0), type: type as typeof json })).toBe(status);
  });

  it.each([
    ["HTTP/1 on the gRPC port", "POST /v1/metrics HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc"],
    ["noise", Buffer.from(Array.from({ length: 999 }, (_, i) => (i * 31) % 256))],
    ["a frame of 16 MB", Buffer.concat([preface, Buffer.from("ffffff000000000001", "hex")])],
    [
      "garbage headers",
      Buffer.concat([preface, Buffer.from("00000004000000000000000801050000000180ffffffffffffff", "hex")]),
    ],
  ])("%s ends that connection only", async (_title, bytes) => {
    await attack(async () => {
      await Promise.all(Array.from({ length: 10 }, () => throwAt(run.ports.grpc, bytes)));
    });
  });

  it("streams that are reset at once by the thousand", async () => {
    await attack(async () => {
      for (let round = 0; round < 5; round++) {
        const session = connectHttp2(`http://127.0.0.1:${run.ports.grpc}`);
        session.on("error", () => undefined);
        for (let i = 0; i < 1000 && !session.destroyed; i++) {
          const headers = {
            ":method": "POST",
            ":path": otlpMethods.logs,
            "content-type": "application/grpc",
            te: "trailers",
          };
          const stream = session.request(headers);
          stream.on("error", () => undefined);
          stream.close(8);
          if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
        session.destroy();
      }
    });
  });

  it("connections that say nothing, bodies that drip and clients that never read", async () => {
    const sockets: Socket[] = [];
    const grpcDrips: Socket[] = [];
    const head = "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\n";
    await attack(async () => {
      for (let i = 0; i < 200; i++) sockets.push(await open(i % 2 === 0 ? run.ports.grpc : run.ports.http));
      for (let i = 0; i < 50; i++) {
        const drip = await open(run.ports.http);
        drip.resume();
        drip.write(`${head}content-length: 1000000\r\n\r\n`);
        sockets.push(drip);
      }
      for (let i = 0; i < 50; i++) {
        const drip = await open(run.ports.grpc);
        drip.resume();
        drip.write(
          Buffer.concat([preface, settingsFrame([]), encodeFrame(1, 4, 1, callHead), encodeFrame(0, 0, 1, noBytes)]),
        );
        drip.write(encodeFrame(0, 0, 1, Buffer.from([0, 0, 16, 0, 0])));
        grpcDrips.push(drip);
      }
      const deaf = await open(run.ports.http);
      deaf.pause();
      for (let i = 0; i < 5000 && !deaf.destroyed; i++) deaf.write(`${head}content-length: 0\r\n\r\n`);
      sockets.push(deaf);
      const deafCaller = await open(run.ports.grpc);
      deafCaller.pause();
      deafCaller.write(Buffer.concat([preface, settingsFrame([])]));
      for (let i = 0; i < 5000 && !deafCaller.destroyed; i++) {
        const stream = 2 * i + 1;
        deafCaller.write(
          Buffer.concat([encodeFrame(1, 4, stream, callHead), encodeFrame(0, 1, stream, Buffer.alloc(5))]),
        );
      }
      sockets.push(deafCaller, ...grpcDrips);
      for (let byte = 0; byte < 20; byte++) {
        for (const drip of grpcDrips) if (!drip.destroyed) drip.write(encodeFrame(0, 0, 1, Buffer.from("\n")));
        for (const drip of sockets.slice(200, 250)) if (!drip.destroyed) drip.write("\n");
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    });
    for (const socket of sockets) socket.destroy();
  });
});
