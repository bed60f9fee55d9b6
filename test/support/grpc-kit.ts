/** gRPC peers for tests: @grpc/grpc-js as client and server with raw bytes, and our own on free ports. */

import {
  type CallOptions,
  Client,
  credentials,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceError,
} from "@grpc/grpc-js";
import { onTestFinished } from "vitest";
import { createGrpcClient, type GrpcClient, type GrpcClientOptions } from "../../src/transport/grpc-client.ts";
import { type GrpcServerOptions, type RunningGrpcServer, startGrpcServer } from "../../src/transport/grpc-server.ts";
import type { GrpcMethod } from "../../src/transport/grpc-server-call.ts";

export const testPath = "/test.Echo/Echo";

const same = (bytes: Buffer): Buffer => bytes;

/** Our server with one method; it ends with the test. */
export async function startOwnServer(
  method: GrpcMethod,
  options: Partial<GrpcServerOptions> = {},
): Promise<RunningGrpcServer> {
  const server = await startGrpcServer({
    at: { host: "127.0.0.1", port: 0 },
    methodAt: (path) => (path === testPath ? method : undefined),
    ...options,
  });
  onTestFinished(() => server.close(0));
  return server;
}

/** Our client; it ends with the test. */
export function createOwnClient(port: number, options: Partial<GrpcClientOptions> = {}): GrpcClient {
  const client = createGrpcClient({ target: `127.0.0.1:${port}`, userAgent: "test/1", ...options });
  onTestFinished(() => client.destroy());
  return client;
}

/** What grpc-js says came of a call. */
export interface PeerResult {
  readonly code: number;
  readonly details: string;
  readonly response: Buffer | undefined;
  readonly metadata: Metadata;
}

/** A call by grpc-js. */
export function callByPeer(
  port: number,
  message: Uint8Array,
  options: {
    readonly metadata?: Metadata;
    readonly path?: string;
    readonly call?: CallOptions;
    readonly channel?: object;
  } = {},
): Promise<PeerResult> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), options.channel);
  return new Promise((resolve) => {
    const done = (error: ServiceError | null, response: Buffer | undefined) => {
      client.close();
      resolve({
        code: error?.code ?? 0,
        details: error?.details ?? "",
        response,
        metadata: error?.metadata ?? new Metadata(),
      });
    };
    const { path = testPath, metadata = new Metadata(), call = {} } = options;
    client.makeUnaryRequest(path, same, same, Buffer.from(message), metadata, call, done);
  });
}

/** A server of grpc-js with one method; it ends with the test. */
export async function startPeerServer(method: handleUnaryCall<Buffer, Buffer>, options: object = {}): Promise<number> {
  const server = new Server(options);
  const definition = {
    path: testPath,
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
  server.addService({ Echo: definition }, { Echo: method });
  onTestFinished(() => server.forceShutdown());
  return await new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
}
