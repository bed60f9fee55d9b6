/** What a refusal says, read by clients of @grpc/grpc-js and Go's gRPC, and the deadlines that clients give their calls. */

import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { connect as connectHttp2, type IncomingHttpHeaders } from "node:http2";
import { homedir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { status as grpcStatus } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import type { Signal } from "../../src/model/otlp-request.ts";
import { buildLogs, buildTraces } from "../../src/testing/build-otlp.ts";
import { freePort } from "../kit/free-port.ts";
import { otlpType } from "../kit/otlp-proto.ts";
import { otlpMethods, randomRequests } from "../kit/otlp-traffic.ts";
import type { TestProcess } from "../kit/processes.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder, type TempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";
import { callByPeer } from "../support/grpc-kit.ts";
import { type OtlpGrpcServer, startOtlpGrpcServer } from "../support/otlp-grpc-server.ts";

const goCall = join(process.env["INTEROP"] ?? join(homedir(), ".cache/millrace-interop"), "go/call");
const hasGo = isThere(goCall);
const callTimeoutMs = 20_000;

function isThere(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const messages: Readonly<Record<Signal, Uint8Array>> = {
  metrics: randomRequests("metrics", 1, 20261121)[0] ?? new Uint8Array(),
  traces: buildTraces([{ name: "a" }]).requests[0]?.bytes ?? new Uint8Array(),
  logs: buildLogs([{ body: "a" }]).requests[0]?.bytes ?? new Uint8Array(),
};

/** What a client was told. */
interface Told {
  /** The number of the code. */
  readonly code: number;
  readonly message: string;
  /** Names of the types of the details. */
  readonly details: readonly string[];
  /** Of a RetryInfo; 0 without one. */
  readonly retryDelayMs: number;
}

type Ask = (port: number, signal: Signal, message: Uint8Array) => Promise<Told>;

const byGrpcJs: Ask = async (port, signal, message) => {
  const call = { deadline: Date.now() + callTimeoutMs };
  const result = await callByPeer(port, message, { path: otlpMethods[signal], call });
  const [trailer] = result.metadata.get("grpc-status-details-bin");
  const read = (type: string, bytes: Uint8Array) =>
    otlpType(type).toObject(otlpType(type).decode(bytes), { longs: Number, defaults: true });
  const told = trailer instanceof Buffer ? read("RpcStatus", trailer) : { code: result.code, details: [] };
  expect([told["code"], told["message"] ?? result.details]).toEqual([result.code, result.details]);
  const details = told["details"] as { typeUrl: string; value: Uint8Array }[];
  const info = details.find(({ typeUrl }) => typeUrl.endsWith("/google.rpc.RetryInfo"));
  const delay = info === undefined ? undefined : read("RetryInfo", info.value)["retryDelay"];
  return {
    code: result.code,
    message: result.details,
    details: details.map(({ typeUrl }) => typeUrl.slice(typeUrl.lastIndexOf(".") + 1)),
    retryDelayMs: delay === undefined ? 0 : delay.seconds * 1000 + delay.nanos / 1e6,
  };
};

/** Go writes codes as words. */
const goCodes: Readonly<Record<string, number>> = {
  OK: grpcStatus.OK,
  InvalidArgument: grpcStatus.INVALID_ARGUMENT,
  Unavailable: grpcStatus.UNAVAILABLE,
  ResourceExhausted: grpcStatus.RESOURCE_EXHAUSTED,
};

const byGo: Ask = async (port, signal, message) => {
  const child = spawn(goCall, [`127.0.0.1:${port}`, otlpMethods[signal], `${callTimeoutMs}ms`]);
  child.stdin.end(message);
  const told = JSON.parse(await text(child.stdout)) as Omit<Told, "code"> & { readonly code: string };
  const details = told.details.map((type) => type.slice(type.lastIndexOf(".") + 1));
  return { ...told, code: goCodes[told.code] ?? -1, details };
};

let folder: TempFolder;
let sink: OtlpGrpcServer;
let run: TestProcess;
let grpc: number;
let answers = false;

beforeAll(async () => {
  folder = createTempFolder("otlp-status");
  grpc = await freePort();
  sink = await startOtlpGrpcServer(() => (answers ? new Uint8Array() : undefined));
  const exporter = { endpoint: `127.0.0.1:${sink.port}`, tls: { insecure: true }, timeout: "100s" };
  const config = {
    receivers: { otlp: { protocols: { grpc: { endpoint: `127.0.0.1:${grpc}` } } } },
    // Less than any process has.
    processors: { memory_limiter: { check_interval: "50ms", limit_mib: 5 } },
    exporters: {
      "otlp_grpc/queue": { ...exporter, sending_queue: { queue_size: 1, num_consumers: 1 } },
      "otlp_grpc/direct": { ...exporter, sending_queue: { enabled: false } },
    },
    service: {
      telemetry: { metrics: { level: "none" } },
      pipelines: {
        traces: { receivers: ["otlp"], exporters: ["otlp_grpc/queue"] },
        metrics: { receivers: ["otlp"], processors: ["memory_limiter"], exporters: ["otlp_grpc/queue"] },
        logs: { receivers: ["otlp"], exporters: ["otlp_grpc/direct"] },
      },
    },
  };
  run = await startMillraceRun(folder.write("millrace.yaml", stringify(config)));
});
afterAll(async () => {
  await run?.stop("SIGKILL");
  sink?.close();
  folder?.[Symbol.dispose]();
});

const noGo = hasGo ? "" : ` (skipped: no ${goCall}; test/interop/prepare.sh builds it)`;
describe.each([
  { client: "@grpc/grpc-js", ask: byGrpcJs, isSkipped: false },
  { client: `Go's gRPC${noGo}`, ask: byGo, isSkipped: !hasGo },
])("a client of $client", ({ ask, isSkipped }) => {
  it.skipIf(isSkipped).each([
    ["a full queue", "traces", grpcStatus.UNAVAILABLE],
    ["memory at its limit", "metrics", grpcStatus.RESOURCE_EXHAUSTED],
  ] as const)("reads the wait that %s asks for", async (_title, signal, code) => {
    const told = await waitFor("the refusal", async () => {
      const answer = await ask(grpc, signal, messages[signal]);
      return answer.code === grpcStatus.OK ? undefined : answer;
    });
    expect(told).toMatchObject({ code, details: ["RetryInfo"] });
    expect(told.retryDelayMs).toBeGreaterThanOrEqual(1000);
    expect(told.message).not.toBe("");
  });

  it.skipIf(isSkipped)("reads why a request cannot be decoded, and that no repeat helps", async () => {
    const told = await ask(grpc, "logs", messages.logs.subarray(0, -3));
    expect(told).toMatchObject({ code: grpcStatus.INVALID_ARGUMENT, details: [], retryDelayMs: 0 });
    expect(told.message).toMatch(/^otlp: length beyond the end/);
  });
});

describe("the time limit of a call", () => {
  /** A call whose client leaves it to the server to end it. */
  async function callWithTimeout(timeout: string, message: Uint8Array): Promise<IncomingHttpHeaders> {
    const session = connectHttp2(`http://127.0.0.1:${grpc}`);
    const frame = Buffer.alloc(5);
    frame.writeUInt32BE(message.length, 1);
    const stream = session.request({
      ":method": "POST",
      ":path": otlpMethods.logs,
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-timeout": timeout,
    });
    let last: IncomingHttpHeaders = {};
    const keep = (headers: IncomingHttpHeaders) => {
      last = { ...last, ...headers };
    };
    stream.on("response", keep).on("trailers", keep).resume();
    stream.end(Buffer.concat([frame, message]));
    await new Promise((resolve, reject) => void stream.once("close", resolve).once("error", reject));
    session.close();
    return last;
  }

  it("ends it with DEADLINE_EXCEEDED where it passes while the server behind is waited for", async () => {
    const begunMs = performance.now();
    const headers = await callWithTimeout("700m", messages.logs);
    expect(headers["grpc-status"]).toBe(String(grpcStatus.DEADLINE_EXCEEDED));
    expect(performance.now() - begunMs).toBeGreaterThan(650);
    expect(headers["grpc-message"]).toContain("time limit");
  });

  it("changes nothing where the answer comes in time", async () => {
    answers = true;
    // Of another resource: what belongs to that of the call before goes out behind it.
    const [other] = buildLogs([{ body: "b", resource: { "service.name": "other" } }]).requests;
    expect((await callWithTimeout("60S", other?.bytes ?? new Uint8Array()))["grpc-status"]).toBe("0");
  });
});
