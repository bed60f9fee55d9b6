/** HTTP/2 as bytes (RFC 9113): frames, error codes, and header blocks of our own. */

import { staticTable } from "./hpack-tables.ts";

/** What a client says first. */
export const clientPreface: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export const frameHeadBytes = 9;

export const frameTypes = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;

export const frameFlags = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;

export const settingIds = {
  tableSize: 1,
  push: 2,
  maxStreams: 3,
  initialWindow: 4,
  maxFrame: 5,
  maxHeaderList: 6,
} as const;

export const http2Codes = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const;

/** Of a header block: our side uses no table. Who wants a smaller one must hear it. */
export const emptyTable: Buffer = Buffer.from([0x20]);

/** Windows and stream numbers end here. */
export const maxInt31 = 2 ** 31 - 1;
/** Of both sides before any settings. */
export const defaultWindowBytes = 65_535;
export const minFrameBytes = 16_384;

/** What ends a connection, with one of `http2Codes`. */
export class Http2Error extends Error {
  override readonly name = "Http2Error";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Throws Http2Error where what the protocol demands is not so. */
export function expectHttp2(condition: boolean, code: number, message: string): void {
  if (!condition) throw new Http2Error(code, message);
}

/** Throws Http2Error for a window of more than there can be. */
export function expectWindow(bytes: number): void {
  expectHttp2(bytes <= maxInt31, http2Codes.FLOW_CONTROL_ERROR, "a window too large");
}

/** A whole frame. */
export function encodeFrame(type: number, flags: number, stream: number, payload: Uint8Array = noBytes): Buffer {
  const frame = Buffer.allocUnsafe(frameHeadBytes + payload.length);
  putFrame(frame, 0, [type, flags, stream], payload);
  return frame;
}

/** Writes a frame at `at`, where there must be room; returns the position behind it. */
export function putFrame(
  target: Buffer,
  at: number,
  [type, flags, stream]: readonly [type: number, flags: number, stream: number],
  payload: Uint8Array,
): number {
  target.writeUIntBE(payload.length, at, 3);
  target[at + 3] = type;
  target[at + 4] = flags;
  target.writeUInt32BE(stream, at + 5);
  target.set(payload, at + frameHeadBytes);
  return at + frameHeadBytes + payload.length;
}

const noBytes = new Uint8Array(0);

export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(6 * settings.length);
  for (const [i, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id, 6 * i);
    payload.writeUInt32BE(value, 6 * i + 2);
  }
  return encodeFrame(frameTypes.settings, 0, 0, payload);
}

export function windowFrame(stream: number, bytes: number): Buffer {
  return encodeFrame(frameTypes.window, 0, stream, uint32(bytes));
}

export function resetFrame(stream: number, code: number): Buffer {
  return encodeFrame(frameTypes.reset, 0, stream, uint32(code));
}

export function goawayFrame(lastStream: number, code: number, text: string): Buffer {
  return encodeFrame(frameTypes.goaway, 0, 0, Buffer.concat([uint32(lastStream), uint32(code), Buffer.from(text)]));
}

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Headers by name, in lower case; numbers and texts of ASCII. */
export type HeaderTexts = Readonly<Record<string, string | number>>;

/** The first index of a name, and that of a name with its value. */
const staticNames: ReadonlyMap<string, number> = new Map(
  staticTable.map(({ name }, i): [string, number] => [name, i + 1]).reverse(),
);
const staticFields: ReadonlyMap<string, number> = new Map(
  staticTable.map(({ name, value }, i): [string, number] => [`${name} ${value}`, i + 1]),
);

/** A header block that depends on no table but the static one, so that it can be kept. */
export function encodeHeaderBlock(headers: HeaderTexts): Buffer {
  const parts: Buffer[] = [];
  for (const name in headers) {
    const value = String(headers[name]);
    const whole = value === "" ? undefined : staticFields.get(`${name} ${value}`);
    if (whole !== undefined) {
      parts.push(hpackInteger(0x80, 7, whole));
      continue;
    }
    // Without indexing: the decoder's table stays as it is.
    const index = staticNames.get(name) ?? 0;
    parts.push(hpackInteger(0, 4, index));
    if (index === 0) parts.push(...hpackString(name));
    parts.push(...hpackString(value));
  }
  return Buffer.concat(parts);
}

function hpackString(text: string): readonly Buffer[] {
  const bytes = Buffer.from(text, "latin1");
  return [hpackInteger(0, 7, bytes.length), bytes];
}

function hpackInteger(flags: number, prefixBits: number, value: number): Buffer {
  const mask = (1 << prefixBits) - 1;
  if (value < mask) return Buffer.from([flags | value]);
  const bytes = [flags | mask];
  let rest = value - mask;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
