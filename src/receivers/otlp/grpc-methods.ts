/** OTLP's services over gRPC. */

import { encodeExportResponse, type PartialSuccess } from "../../codec/otlp/export-response.ts";
import type { Signal } from "../../model/otlp-request.ts";
import type { GrpcMethod } from "../../transport/grpc-server-call.ts";
import type { Intake } from "./intake.ts";
import { type ClientSettings, grpcClientInfo } from "./request-client.ts";
import { profilesPaths, type UnservedSignals } from "./unserved-signals.ts";

const signalsByPath: ReadonlyMap<string, Signal> = new Map([
  ["/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "metrics"],
  ["/opentelemetry.proto.collector.trace.v1.TraceService/Export", "traces"],
  ["/opentelemetry.proto.collector.logs.v1.LogsService/Export", "logs"],
]);

/** A response without a partial success has no bytes. */
const fullSuccess = new Uint8Array(0);

function responseOf(partial: PartialSuccess | undefined): Uint8Array {
  return partial === undefined ? fullSuccess : encodeExportResponse(partial);
}

/** What the methods need beside the client's settings. */
export interface GrpcMethodsParts {
  readonly intake: Intake;
  readonly unserved: UnservedSignals;
}

/**
 * The method at the path of a call; undefined, which is UNIMPLEMENTED and counted, for profiles and for a signal that no
 * pipeline takes.
 */
export function createGrpcMethods(
  { intake, unserved }: GrpcMethodsParts,
  settings: ClientSettings,
): (path: string) => GrpcMethod | undefined {
  const methods = new Map<string, { readonly signal: Signal; readonly method: GrpcMethod }>();
  for (const [path, signal] of signalsByPath) {
    // Not an async function, which would keep the message until the answer.
    const method: GrpcMethod = (request) => {
      const client = grpcClientInfo(request, settings);
      return intake.take(signal, request.message, { transport: "grpc", isJson: false, client }).then(responseOf);
    };
    methods.set(path, { signal, method });
  }
  return (path) => {
    const found = methods.get(path);
    if (found !== undefined && intake.takes(found.signal)) return found.method;
    if (found !== undefined) unserved.count("grpc", found.signal);
    else if (path === profilesPaths.grpc) unserved.count("grpc", "profiles");
    return undefined;
  };
}
