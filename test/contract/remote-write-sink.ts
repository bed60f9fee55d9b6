/** A remote-write 1.0 endpoint that takes everything and remembers the values. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import protobuf from "protobufjs";
import { uncompressSync } from "snappy";

const schema = `
syntax = "proto3";
message WriteRequest { repeated TimeSeries timeseries = 1; }
message TimeSeries { repeated Sample samples = 2; }
message Sample { double value = 1; int64 timestamp = 2; }
`;

interface WriteRequest {
  readonly timeseries?: { readonly samples?: { readonly value?: number }[] }[];
}

export interface RemoteWriteSink {
  readonly url: string;
  /** The values since the last call. */
  takeValues(): number[];
  close(): void;
}

/** Listens on a free loopback port. */
export async function startRemoteWriteSink(): Promise<RemoteWriteSink> {
  const type = protobuf.parse(schema).root.lookupType("WriteRequest");
  let values: number[] = [];
  const server = createServer(async (request, response) => {
    const body = uncompressSync(await buffer(request)) as Buffer;
    const { timeseries = [] } = type.toObject(type.decode(body)) as WriteRequest;
    for (const { samples = [] } of timeseries) values.push(...samples.map((sample) => sample.value ?? 0));
    response.writeHead(204).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/api/v1/write`,
    takeValues() {
      const taken = values;
      values = [];
      return taken;
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
