/** A running otlp receiver for tests, with clients for both of its protocols. */

import { onTestFinished } from "vitest";
import type { Signal } from "../../src/model/otlp-request.ts";
import otlp from "../../src/receivers/otlp/otlp.ts";
import { buildLogs, buildTraces } from "../../src/testing/build-otlp.ts";
import { createSink, type Sink } from "../../src/testing/sink.ts";
import { createTestContext, parseConfig } from "../../src/testing/test-context.ts";
import { createOwnClient } from "./grpc-kit.ts";

const forever = new AbortController().signal;

/** One field of a message that holds another. */
function field(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag, body.length]), body]);
}

const pointBytes = Buffer.from("190000c84e676d9717" + "21000000000000f03f", "hex");
const metric = field(0x12, field(0x0a, Buffer.from("m")), field(0x2a, field(0x0a, pointBytes)));

/** A request of one gauge "m" with one point of the value 1. */
export const metricsBytes: Buffer = field(0x0a, field(0x0a), field(0x12, field(0x0a), metric));

/** A request of one item. */
export function bytesOf(signal: Signal): Uint8Array {
  if (signal === "traces") return buildTraces([{ name: "item-1." }]).requests[0]?.bytes ?? new Uint8Array();
  if (signal === "logs") return buildLogs([{ body: "item-1." }]).requests[0]?.bytes ?? new Uint8Array();
  return metricsBytes;
}

/** The methods over gRPC. */
export const services: Readonly<Record<Signal, string>> = {
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

/** Keys of the receiver's sections, and its surroundings. */
export interface SetUp {
  readonly http?: object;
  readonly grpc?: object;
  readonly limits?: object;
  readonly sink?: Sink;
  readonly extensions?: Readonly<Record<string, unknown>>;
}

/** A receiver that listens on free ports and ends with the test. */
export async function setUpOtlp({
  http = {},
  grpc = {},
  limits = {},
  sink = createSink(),
  extensions = {},
}: SetUp = {}) {
  const section = {
    protocols: { http: { endpoint: "127.0.0.1:0", ...http }, grpc: { endpoint: "127.0.0.1:0", ...grpc } },
    limits,
  };
  const kit = createTestContext(parseConfig(otlp, section) as never, { id: "otlp" });
  for (const [id, extension] of Object.entries(extensions)) kit.host.extensions.set(id, extension);
  const receiver = otlp.create({ ...kit.context, next: sink });
  await receiver.start?.();
  onTestFinished(async () => receiver.shutdown?.(forever));
  const port = (protocol: string) =>
    Number(kit.log.entries.find(({ fields }) => fields["protocol"] === protocol)?.fields["port"]);
  const url = `http://127.0.0.1:${port("http")}`;
  const post = async (path: string, body: Uint8Array | string, headers: Record<string, string> = {}) => {
    const response = await fetch(url + path, {
      method: "POST",
      body: body as never,
      headers: { "content-type": "application/x-protobuf", ...headers },
    });
    return { status: response.status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) };
  };
  const client = createOwnClient(port("grpc"));
  const call = (signal: Signal, message: Uint8Array, options: object = {}) =>
    client.call({ path: services[signal], message, ...options });
  const counted = () => {
    const rows: Record<string, number> = {};
    for (const { name, samples } of kit.meter.collect()) {
      for (const { labels, value } of samples) {
        if (value > 0) rows[`${name.replace("otelcol_receiver_", "")} ${labels["transport"]}`] = value;
      }
    }
    return rows;
  };
  return { ...kit, receiver, sink, url, httpPort: port("http"), grpcPort: port("grpc"), post, call, counted };
}
