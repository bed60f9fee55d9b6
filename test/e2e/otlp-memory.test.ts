/** Memory of the built command with ten thousand idle connections, and with an exporter whose server is gone: stated, bounded. */

import { execFileSync } from "node:child_process";
import { connect, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { stringify } from "yaml";
import { buildLogs } from "../../src/testing/build-otlp.ts";
import { createGrpcClient } from "../../src/transport/grpc-client.ts";
import { grpcCodes } from "../../src/transport/grpc-status.ts";
import { freePort } from "../kit/free-port.ts";
import type { TestProcess } from "../kit/processes.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";
import { type GrpcAnswer, startOtlpGrpcServer } from "../support/otlp-grpc-server.ts";

const path = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const connections = 10_000;
/** Of a connection at once while it is opened: the backlog of a listening socket is short. */
const openedAtOnce = 100;
const mib = 1024 * 1024;
/** docs/otlp.md states what is measured; these are the bounds. */
const maxConnectionBytes = { http: 20_000, grpc: 15_000 };
const queueBytes = 64 * mib;
/** What a process under load takes beside its queue: buffers of requests under way, and what the collector has not come to. */
const besideQueueBytes = 160 * mib;

/** Files that this process and the one under test may each open. */
const openFiles = process.platform === "linux" ? Number(execFileSync("sh", ["-c", "ulimit -Hn"])) : 0;
const canHoldConnections = openFiles > connections + 500 || Number.isNaN(openFiles);
const canMeasure = process.platform === "linux";

interface Ports {
  readonly grpc: number;
  readonly http: number;
}

async function startRun(folder: { write(name: string, text: string): string }, exporters: object) {
  const ports: Ports = { grpc: await freePort(), http: await freePort() };
  const protocols = { grpc: { endpoint: `127.0.0.1:${ports.grpc}` }, http: { endpoint: `127.0.0.1:${ports.http}` } };
  const config = {
    receivers: { otlp: { protocols } },
    exporters,
    service: {
      telemetry: { metrics: { level: "none" } },
      pipelines: { logs: { receivers: ["otlp"], exporters: Object.keys(exporters) } },
    },
  };
  return { ports, run: await startMillraceRun(folder.write("millrace.yaml", stringify(config))) };
}

/** Resident memory once it no longer grows. */
async function settledBytes(run: TestProcess): Promise<number> {
  let last = run.residentBytes();
  let calm = 0;
  await waitFor(
    "the memory to settle",
    () => {
      const now = run.residentBytes();
      calm = now <= last + mib ? calm + 1 : 0;
      last = now;
      return calm >= 10;
    },
    30_000,
  );
  return last;
}

/** Opens a connection, says `hello`, and resolves when the server has answered with anything. */
function openIdle(port: number, hello: Buffer): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(hello));
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("the connection was closed")));
    socket.once("data", () => {
      socket.resume();
      resolve(socket);
    });
  });
}

async function openMany(port: number, hello: Buffer): Promise<Socket[]> {
  const sockets: Socket[] = [];
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  while (sockets.length < connections) {
    sockets.push(...(await Promise.all(Array.from({ length: openedAtOnce }, () => openIdle(port, hello)))));
  }
  return sockets;
}

const emptyPost =
  "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
/** The preface of HTTP/2 and an empty SETTINGS frame. */
const preface = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);

describe.skipIf(!canMeasure || !canHoldConnections)(
  `${connections} idle connections (needs Linux and ${connections + 500} open files for a process)`,
  () => {
    it.each([
      ["http", Buffer.from(emptyPost)],
      ["grpc", preface],
    ] as const)("over %s take a bounded memory each, and others are served", async (protocol, hello) => {
      using folder = createTempFolder("otlp-idle");
      const { ports, run } = await startRun(folder, { debug: { verbosity: "basic" } });
      await using _run = run;
      const before = await settledBytes(run);
      const sockets = await openMany(ports[protocol], hello);
      const after = await settledBytes(run);
      const each = Math.round((after - before) / sockets.length);
      console.log(`${protocol}: ${each} bytes for each of ${sockets.length} idle connections`);
      expect(each).toBeLessThan(maxConnectionBytes[protocol]);
      expect(sockets.filter((socket) => socket.destroyed)).toEqual([]);
      const other = protocol === "grpc" ? `http://127.0.0.1:${ports.http}/v1/logs` : undefined;
      if (other !== undefined) {
        const headers = { "content-type": "application/x-protobuf" };
        expect((await fetch(other, { method: "POST", headers })).status).toBe(200);
      } else {
        const client = createGrpcClient({ target: `127.0.0.1:${ports.grpc}`, userAgent: "test" });
        expect((await client.call({ path, message: new Uint8Array(), timeoutMs: 5000 })).code).toBe(0);
        client.destroy();
      }
      // One more than the bound is turned away at once.
      const extra = connect(ports[protocol], "127.0.0.1");
      await new Promise((resolve) => extra.once("close", resolve).on("error", () => {}));
    });
  },
);

/** A server that answers every call so, or not at all; without a behaviour there is none. */
async function startDead(behaviour: GrpcAnswer | "hangs" | undefined): Promise<number> {
  if (behaviour === undefined) return freePort();
  const server = await startOtlpGrpcServer(() => (behaviour === "hangs" ? undefined : behaviour));
  // Nothing of what comes is kept: this process is not the one that is measured.
  const timer = setInterval(() => server.takeReceived(), 100);
  onTestFinished(() => {
    clearInterval(timer);
    server.close();
  });
  return server.port;
}

describe.skipIf(!canMeasure)("a server behind (needs Linux)", () => {
  it.each([
    ["is gone", undefined],
    ["hangs", "hangs"],
    ["asks for 3 s", { code: grpcCodes.UNAVAILABLE, message: "not now", retryAfterMs: 3000 }],
  ] as const)(
    "that %s: memory rises to the bound of the queue, and stays there under load",
    async (_title, behaviour) => {
      using folder = createTempFolder("otlp-dead");
      const { ports, run } = await startRun(folder, {
        otlp: {
          endpoint: `127.0.0.1:${await startDead(behaviour)}`,
          tls: { insecure: true },
          sending_queue: { queue_size: 1_000_000, max_bytes: "64MiB" },
        },
      });
      await using _run = run;
      const [request] = buildLogs(
        Array.from({ length: 100 }, (_, i) => ({ body: `${i} `.padEnd(2600, "x") })),
      ).requests;
      const message = request?.bytes ?? new Uint8Array();
      const client = createGrpcClient({ target: `127.0.0.1:${ports.grpc}`, userAgent: "test" });
      onTestFinished(() => client.destroy());
      const before = await settledBytes(run);
      let taken = 0;
      let most = 0;
      /** Sends in eight turns; returns how many were refused. */
      const load = async (count: number): Promise<number> => {
        let [left, refused] = [count, 0];
        const one = async (): Promise<void> => {
          while (left-- > 0) {
            const { code, retryAfterMs } = await client.call({ path, message, timeoutMs: 10_000 });
            if (code === 0) taken += message.length;
            else {
              expect([code, (retryAfterMs ?? 0) > 0]).toEqual([grpcCodes.UNAVAILABLE, true]);
              refused++;
            }
            most = Math.max(most, run.residentBytes());
          }
        };
        await Promise.all(Array.from({ length: 8 }, one));
        return refused;
      };
      const fill = Math.ceil(queueBytes / message.length);
      expect(await load(fill + 50)).toBeGreaterThan(0);
      expect(taken).toBeLessThanOrEqual(queueBytes);
      expect(taken).toBeGreaterThan(queueBytes - 2 * message.length);
      const full = most - before;
      // Four times the queue more, all refused.
      expect(await load(4 * fill)).toBe(4 * fill);
      console.log(
        `queue of 64 MiB full: ${Math.round(full / mib)} MiB more; after 256 MiB refused: at most ${Math.round((most - before) / mib)}`,
      );
      expect(most - before).toBeLessThan(queueBytes + besideQueueBytes);
    },
  );
});
