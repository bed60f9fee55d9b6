/** An OTLP server of @grpc/grpc-js on a free loopback port, which answers as told. */

import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerOptions,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
} from "@grpc/grpc-js";
import type { Signal } from "../../src/model/otlp-request.ts";
import { encodeStatus } from "../../src/transport/grpc-status.ts";

export interface GrpcReceived {
  readonly signal: Signal;
  readonly bytes: Buffer;
  readonly metadata: Metadata;
}

/** A serialized response, or the failure with this code. */
export type GrpcAnswer =
  | Uint8Array
  | { readonly code: number; readonly message: string; readonly retryAfterMs?: number };

export interface OtlpGrpcServer {
  readonly port: number;
  readonly received: readonly GrpcReceived[];
  /** What was received since the last call. */
  takeReceived(): GrpcReceived[];
  close(): void;
}

const paths: Readonly<Record<Signal, string>> = {
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

/** Where a server listens, 127.0.0.1 and a free port unless given, and options of @grpc/grpc-js. */
export interface ListenOptions {
  readonly host?: string;
  readonly port?: number;
  readonly channel?: ServerOptions;
}

/** `answer` gets every request with its number, from 1 on; undefined never answers. */
export async function startOtlpGrpcServer(
  answer: (request: GrpcReceived, count: number) => GrpcAnswer | undefined = () => new Uint8Array(),
  credentials = ServerCredentials.createInsecure(),
  { host = "127.0.0.1", port: wanted = 0, channel = {} }: ListenOptions = {},
): Promise<OtlpGrpcServer> {
  const received: GrpcReceived[] = [];
  const server = new Server({ "grpc.max_receive_message_length": 64 * 1024 * 1024, ...channel });
  for (const [signal, path] of Object.entries(paths) as [Signal, string][]) {
    const service: ServiceDefinition = {
      export: {
        path,
        requestStream: false,
        responseStream: false,
        requestSerialize: (value: Buffer) => value,
        requestDeserialize: (bytes: Buffer) => bytes,
        responseSerialize: (value: Buffer) => value,
        responseDeserialize: (bytes: Buffer) => bytes,
      },
    };
    server.addService(service, {
      export(call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) {
        const request = { signal, bytes: call.request, metadata: call.metadata };
        received.push(request);
        const given = answer(request, received.length);
        if (given === undefined) return;
        if (given instanceof Uint8Array) callback(null, Buffer.from(given));
        else {
          const metadata = new Metadata();
          const { code, message, retryAfterMs } = given;
          if (retryAfterMs !== undefined) {
            metadata.set("grpc-status-details-bin", encodeStatus(code, message, retryAfterMs));
          }
          callback({ code, details: message, metadata });
        }
      },
    });
  }
  const port = await new Promise<number>((resolve, reject) => {
    const done = (error: Error | null, bound: number) => (error === null ? resolve(bound) : reject(error));
    server.bindAsync(`${host}:${wanted}`, credentials, done);
  });
  return { port, received, takeReceived: () => received.splice(0), close: () => server.forceShutdown() };
}
