/** Which frames belong to the connection and which to a stream, and what sizes they have (RFC 9113 section 6). */

import { expectHttp2, frameFlags, frameTypes, http2Codes } from "./http2-wire.ts";

interface FrameRule {
  /** Undefined where it may be either. */
  readonly isOfConnection?: boolean;
  /** Of its payload, exactly or at least. */
  readonly bytes?: number;
  readonly leastBytes?: number;
}

const rules: ReadonlyMap<number, FrameRule> = new Map<number, FrameRule>([
  [frameTypes.settings, { isOfConnection: true }],
  [frameTypes.ping, { isOfConnection: true, bytes: 8 }],
  [frameTypes.goaway, { isOfConnection: true, leastBytes: 8 }],
  [frameTypes.window, { bytes: 4 }],
  [frameTypes.reset, { isOfConnection: false, bytes: 4 }],
  [frameTypes.priority, { isOfConnection: false, bytes: 5 }],
]);

/** Throws Http2Error for a frame of the wrong stream or size. */
export function expectFrame(type: number, flags: number, id: number, lengthBytes: number): void {
  const rule = rules.get(type);
  if (rule === undefined) return;
  const isInPlace = rule.isOfConnection === undefined || rule.isOfConnection === (id === 0);
  expectHttp2(isInPlace, http2Codes.PROTOCOL_ERROR, "a frame of the wrong stream");
  const isOfSize = lengthBytes === (rule.bytes ?? lengthBytes) && lengthBytes >= (rule.leastBytes ?? 0);
  expectHttp2(isOfSize, http2Codes.FRAME_SIZE_ERROR, "a frame of the wrong size");
  const isAnswer = type === frameTypes.settings && (flags & frameFlags.ack) !== 0;
  expectHttp2(!isAnswer || lengthBytes === 0, http2Codes.FRAME_SIZE_ERROR, "an answer to settings with settings");
}
