/** Sends one OTLP request over gRPC and reads what the server says. */

import type { OutgoingRequest, SendAnswer } from "../../component/exporting/exporting.ts";
import { type PartialSuccess, readPartialSuccess } from "../../component/exporting/partial-success.ts";
import { ConsumeError, type ConsumeErrorCode } from "../../model/errors.ts";
import type { OtlpRequest, Signal } from "../../model/otlp-request.ts";
import type { GrpcCallOptions, GrpcClient } from "../../transport/grpc-client.ts";
import { grpcCodeName, grpcCodes } from "../../transport/grpc-status.ts";

const paths: Readonly<Record<Signal, string>> = {
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

/** The retryable codes of the OTLP specification (1.x, "Failures"); RESOURCE_EXHAUSTED is one only with RetryInfo. */
const retryableCodes: ReadonlySet<number> = new Set([
  grpcCodes.CANCELLED,
  grpcCodes.DEADLINE_EXCEEDED,
  grpcCodes.ABORTED,
  grpcCodes.OUT_OF_RANGE,
  grpcCodes.UNAVAILABLE,
  grpcCodes.DATA_LOSS,
]);

const minPieceBytes = 8 * 1024;
/** A server may ask for longer; more than this is not waited at once. */
const maxRetryAfterMs = 300_000;

/** Resolves with the partial success. Rejects with a ConsumeError that says whether another attempt may help. */
export async function callOtlp(
  client: GrpcClient,
  { signal: kind, requests, bytes }: OutgoingRequest,
  options: Omit<GrpcCallOptions, "path" | "message">,
): Promise<SendAnswer & PartialSuccess> {
  const result = await client.call({ ...options, path: paths[kind], message: piecesOf(requests, bytes) });
  const { code, retryAfterMs, isSent } = result;
  if (code === grpcCodes.OK) return { ...readPartialSuccess(result.response), isSent };
  const isExhausted = code === grpcCodes.RESOURCE_EXHAUSTED;
  throw new ConsumeError(errorCode(code), `gRPC status ${grpcCodeName(code)}: ${result.message}`, {
    permanent: !(isExhausted ? retryAfterMs !== undefined : retryableCodes.has(code)),
    retryAfterMs: retryAfterMs === undefined ? undefined : Math.min(maxRetryAfterMs, retryAfterMs),
  });
}

/** Each piece is a write of its own, which costs less than a copy but for small ones. */
function piecesOf(requests: readonly OtlpRequest[], total: number): Uint8Array[] {
  const pieces = requests.map(({ bytes }) => bytes);
  return pieces.length > 1 && total / pieces.length < minPieceBytes ? [Buffer.concat(pieces, total)] : pieces;
}

function errorCode(code: number): ConsumeErrorCode {
  if (code === grpcCodes.UNAVAILABLE) return "CONSUME_UNREACHABLE";
  return code === grpcCodes.DEADLINE_EXCEEDED ? "CONSUME_TIMEOUT" : "CONSUME_REJECTED";
}
