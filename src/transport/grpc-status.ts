/** Status codes of gRPC and the two ways a status travels: percent-encoded text and google.rpc.Status with its details. */

import { ByteWriter } from "../kernels/byte-writer.ts";
import { durationBytes, type ProtoField, readDuration, readFields, utf8 } from "./proto-fields.ts";

/** The codes of gRPC's statuscodes.md. */
export const grpcCodes = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

const names = Object.keys(grpcCodes);

/** `UNAVAILABLE` for 14; `CODE_99` for a number that has no name. */
export function grpcCodeName(code: number): string {
  return names[code] ?? `CODE_${code}`;
}

/** One message of the details of a status. */
export interface StatusDetail {
  /** e.g. `type.googleapis.com/google.rpc.RetryInfo`. */
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/** A google.rpc.Status. */
export interface RpcStatus {
  readonly code: number;
  readonly message: string;
  readonly details: readonly StatusDetail[];
  /** From RetryInfo: how long the server asks to wait, 0 included; undefined without one. */
  readonly retryAfterMs: number | undefined;
}

/** What a method or a check ends a call with. */
export class GrpcError extends Error {
  /** One of `grpcCodes`. */
  readonly code: number;
  /** Sent as RetryInfo. */
  readonly retryAfterMs: number | undefined;

  constructor(code: number, message: string, options: ErrorOptions & { retryAfterMs?: number | undefined } = {}) {
    super(message, options);
    this.name = "GrpcError";
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
  }
}

export const retryInfoType = "type.googleapis.com/google.rpc.RetryInfo";

/** Serializes a google.rpc.Status, with RetryInfo where a wait is given. */
export function encodeStatus(code: number, message: string, retryAfterMs?: number): Buffer {
  const writer = new ByteWriter(64 + message.length);
  if (code !== 0) {
    writer.varint(0x08);
    writer.varint(code);
  }
  if (message !== "") writer.stringField(0x12, message);
  if (retryAfterMs !== undefined) {
    const info = new ByteWriter(32);
    info.bytesField(0x0a, durationBytes(Math.max(0, retryAfterMs)));
    const detail = new ByteWriter(96);
    detail.stringField(0x0a, retryInfoType);
    detail.bytesField(0x12, info.view());
    writer.bytesField(0x1a, detail.view());
  }
  return Buffer.from(writer.view());
}

const maxDetails = 32;
/** A duration may be 10,000 years long, a timer not. */
const maxRetryMs = 24 * 3_600_000;

/** Reads a google.rpc.Status; undefined where the bytes are none. */
export function decodeStatus(bytes: Uint8Array): RpcStatus | undefined {
  let code = 0;
  let message = "";
  let retryAfterMs: number | undefined;
  const details: StatusDetail[] = [];
  const isWhole = readFields(bytes, (field) => {
    if (field.number === 1 && field.wireType === 0) code = Number(BigInt.asIntN(32, field.value));
    else if (field.number === 2 && field.wireType === 2) message = utf8(field.bytes);
    else if (field.number === 3 && field.wireType === 2 && details.length < maxDetails) {
      const detail = readAny(field.bytes);
      details.push(detail);
      if (detail.typeUrl === retryInfoType) retryAfterMs = readRetryDelay(detail.value) ?? retryAfterMs;
    }
  });
  return isWhole ? { code, message, details, retryAfterMs } : undefined;
}

function readAny(bytes: Uint8Array): StatusDetail {
  let typeUrl = "";
  let value: Uint8Array = new Uint8Array(0);
  readFields(bytes, (field: ProtoField) => {
    if (field.wireType !== 2) return;
    if (field.number === 1) typeUrl = utf8(field.bytes);
    else if (field.number === 2) value = field.bytes;
  });
  return { typeUrl, value };
}

/** A RetryInfo without a delay asks for none. */
function readRetryDelay(bytes: Uint8Array): number | undefined {
  let ms: number | undefined = 0;
  const isWhole = readFields(bytes, (field) => {
    if (field.number === 1 && field.wireType === 2) ms = readDuration(field.bytes);
  });
  return isWhole && ms !== undefined ? Math.min(maxRetryMs, ms) : undefined;
}

/** A status message as the header `grpc-message` carries it: printable ASCII, everything else percent-encoded. */
export function percentEncode(message: string): string {
  if (/^[\x20-\x24\x26-\x7e]*$/.test(message)) return message;
  let text = "";
  for (const byte of Buffer.from(message)) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    text += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}

/** The reverse; what is no valid escape stays as it is. */
export function percentDecode(text: string): string {
  if (!text.includes("%")) return text;
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const digits = text[i] === "%" ? text.slice(i + 1, i + 3) : "";
    if (/^[0-9a-fA-F]{2}$/.test(digits)) {
      bytes.push(Number.parseInt(digits, 16));
      i += 2;
    } else {
      bytes.push(text.charCodeAt(i) & 0xff);
    }
  }
  return Buffer.from(bytes).toString("utf8");
}
