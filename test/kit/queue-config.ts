/** The configuration of a collector whose queue is on disk, and what a later version may leave there. */

import { crc32 } from "node:zlib";
import { stringify } from "yaml";
import { encodeSegmentHeader } from "../../src/durable/record-format.ts";

interface QueueOptions {
  /** Of the queue; made where it is missing. */
  readonly directory: string;
  /** host:port where it takes OTLP over HTTP. */
  readonly endpoint: string;
  /** URL that it sends to, and again soon after a failure. */
  readonly backend: string;
  /** Further keys of `file_storage`. */
  readonly storage?: object;
}

/** Nobody listens there. */
export const nowhere = "http://127.0.0.1:1";

/** YAML of a collector of all signals. */
export function queueConfig({ directory, endpoint, backend, storage = {} }: QueueOptions): string {
  const pipeline = { receivers: ["otlp"], exporters: ["otlp_http"] };
  return stringify({
    extensions: { file_storage: { directory, create_directory: true, ...storage } },
    receivers: { otlp: { protocols: { http: { endpoint } } } },
    exporters: {
      otlp_http: {
        endpoint: backend,
        compression: "none",
        retry_on_failure: { initial_interval: "10ms", max_interval: "50ms" },
        sending_queue: { storage: "file_storage" },
      },
    },
    service: {
      extensions: ["file_storage"],
      telemetry: { metrics: { level: "none" } },
      pipelines: { metrics: pipeline, traces: pipeline, logs: pipeline },
    },
  });
}

/** An empty segment of the next version of the format. */
export function futureSegment(number: number): Buffer {
  const bytes = Buffer.from(
    encodeSegmentHeader({ queueId: new Uint8Array(16), number, createdMs: 0, firstSequence: 1 }),
  );
  bytes.writeUInt16LE(2, 8);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60);
  return bytes;
}
