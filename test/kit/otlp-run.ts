/** A Millrace that takes OTLP by both protocols, with a sink behind it. */

import { stringify } from "yaml";
import { freePort } from "./free-port.ts";
import { grpcSink, type OtlpPorts, type OtlpSink } from "./otlp-traffic.ts";
import type { TestProcess } from "./processes.ts";
import { startMillraceRun } from "./subjects.ts";
import { createTempFolder } from "./temp.ts";

export interface OtlpRun {
  readonly ports: OtlpPorts;
  /** Gets what comes out, over gRPC. */
  readonly sink: OtlpSink;
  readonly millrace: TestProcess;
  stop(): Promise<void>;
}

/** Starts it with these pipelines, given by the processors of each: none, or `attributes`, which opens every item. */
export async function startOtlpRun(pipelines: Readonly<Record<string, readonly "attributes"[]>>): Promise<OtlpRun> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(createTempFolder("otlp-run"));
  const sink = stack.use(await grpcSink());
  const ports = { grpc: await freePort(), http: await freePort() };
  const config = {
    receivers: {
      otlp: {
        protocols: { grpc: { endpoint: `127.0.0.1:${ports.grpc}` }, http: { endpoint: `127.0.0.1:${ports.http}` } },
      },
    },
    processors: { attributes: { actions: [{ key: "added", value: "yes", action: "insert" }] } },
    exporters: { otlp: { endpoint: sink.address, tls: { insecure: true } } },
    service: {
      telemetry: { metrics: { level: "none" } },
      pipelines: Object.fromEntries(
        Object.entries(pipelines).map(([name, processors]) => [
          name,
          { receivers: ["otlp"], processors, exporters: ["otlp"] },
        ]),
      ),
    },
  };
  const millrace = stack.use(await startMillraceRun(folder.write("millrace.yaml", stringify(config))));
  const started = stack.move();
  return { ports, sink, millrace, stop: () => started.disposeAsync() };
}
