/** OTLP's services over gRPC. */

import type { Signal } from "../../model/otlp-request.ts";
import type { GrpcMethod } from "../../transport/grpc-server-call.ts";
import type { Intake } from "./intake.ts";

const signalsByPath: ReadonlyMap<string, Signal> = new Map([
  ["/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "metrics"],
  ["/opentelemetry.proto.collector.trace.v1.TraceService/Export", "traces"],
  ["/opentelemetry.proto.collector.logs.v1.LogsService/Export", "logs"],
]);

/** A response without a partial success has no bytes. */
const fullSuccess = new Uint8Array(0);

/** The method at a path; undefined, which is UNIMPLEMENTED, for profiles and for a signal that no pipeline takes. */
export function createGrpcMethods(intake: Intake): (path: string) => GrpcMethod | undefined {
  const methods = new Map<string, { readonly signal: Signal; readonly method: GrpcMethod }>();
  for (const [path, signal] of signalsByPath) {
    const method: GrpcMethod = async ({ message }) => {
      await intake.take(signal, message, "grpc", false);
      return fullSuccess;
    };
    methods.set(path, { signal, method });
  }
  return (path) => {
    const found = methods.get(path);
    return found !== undefined && intake.takes(found.signal) ? found.method : undefined;
  };
}
