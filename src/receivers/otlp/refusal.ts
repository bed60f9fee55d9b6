/** What a client is told when its request is not taken: one answer for both protocols. */

import { ConsumeError, DecodeError } from "../../model/errors.ts";
import { GrpcError, grpcCodes } from "../../transport/grpc-status.ts";

/** For a refusal that passes soon, when whoever refused named no time. */
const defaultRetryMs = 1000;
const maxMessageCharacters = 1024;

/**
 * The status for anything that handing a request on threw. Refused for now: UNAVAILABLE, or RESOURCE_EXHAUSTED for want of
 * memory, with the wait that was asked for, and a second for a full queue or memory. Refused for good: INVALID_ARGUMENT,
 * which no client sends again. Anything else passes through and becomes INTERNAL without details.
 */
export function toRefusal(caught: unknown): unknown {
  if (caught instanceof DecodeError)
    return new GrpcError(grpcCodes.INVALID_ARGUMENT, caught.message, { cause: caught });
  if (!isConsumeError(caught)) return caught;
  const { code, message, permanent, retryAfterMs } = caught;
  if (permanent) return new GrpcError(grpcCodes.INVALID_ARGUMENT, message, { cause: caught });
  switch (code) {
    case "CONSUME_MEMORY_LIMIT":
      return new GrpcError(grpcCodes.RESOURCE_EXHAUSTED, message, {
        cause: caught,
        retryAfterMs: retryAfterMs ?? defaultRetryMs,
      });
    case "CONSUME_QUEUE_FULL":
      return new GrpcError(grpcCodes.UNAVAILABLE, message, {
        cause: caught,
        retryAfterMs: retryAfterMs ?? defaultRetryMs,
      });
    default:
      return new GrpcError(grpcCodes.UNAVAILABLE, message, { cause: caught, retryAfterMs });
  }
}

/** What of a request of so many items was refused for good while the rest was taken; undefined where that is not so. */
export function partialRefusal(caught: unknown, items: number): { rejectedItems: number; message: string } | undefined {
  if (!isConsumeError(caught) || !caught.permanent) return undefined;
  const { rejectedItems, message } = caught;
  if (rejectedItems === undefined || rejectedItems <= 0 || rejectedItems >= items) return undefined;
  return { rejectedItems, message: message.slice(0, maxMessageCharacters) };
}

/** By its code: a component from outside may have a copy of the class. */
function isConsumeError(caught: unknown): caught is ConsumeError {
  if (caught instanceof ConsumeError) return true;
  return (
    caught instanceof Error && "code" in caught && typeof caught.code === "string" && caught.code.startsWith("CONSUME_")
  );
}

/** OTLP 1.11, "Failures": the HTTP status for a gRPC code. */
export function httpStatus(code: number, isRetryable: boolean): number {
  switch (code) {
    case grpcCodes.RESOURCE_EXHAUSTED:
      return isRetryable ? 429 : 413;
    case grpcCodes.CANCELLED:
    case grpcCodes.DEADLINE_EXCEEDED:
    case grpcCodes.ABORTED:
    case grpcCodes.OUT_OF_RANGE:
    case grpcCodes.UNAVAILABLE:
    case grpcCodes.DATA_LOSS:
      return 503;
    case grpcCodes.INVALID_ARGUMENT:
      return 400;
    case grpcCodes.UNAUTHENTICATED:
      return 401;
    case grpcCodes.PERMISSION_DENIED:
      return 403;
    case grpcCodes.UNIMPLEMENTED:
      return 404;
    default:
      return 500;
  }
}
