/** Reads the few small protobuf messages of the transport: statuses and durations. */

/** One field of a message; `value` of varints and fixed numbers, `bytes` of length-delimited ones. */
export interface ProtoField {
  readonly number: number;
  readonly wireType: number;
  readonly value: bigint;
  readonly bytes: Uint8Array;
}

const noBytes = new Uint8Array(0);

/** Calls `visit` for every field; false where the bytes end within one or have a group or an unknown wire type. */
export function readFields(bytes: Uint8Array, visit: (field: ProtoField) => void): boolean {
  let at = 0;
  const varint = (): bigint | undefined => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) return undefined;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return undefined;
  };
  while (at < bytes.length) {
    const tag = varint();
    if (tag === undefined) return false;
    const [number, wireType] = [Number(tag >> 3n), Number(tag & 7n)];
    if (wireType === 0) {
      const value = varint();
      if (value === undefined) return false;
      visit({ number, wireType, value, bytes: noBytes });
      continue;
    }
    const length = wireType === 2 ? varint() : wireType === 1 ? 8n : wireType === 5 ? 4n : undefined;
    if (length === undefined || length > BigInt(bytes.length - at)) return false;
    const part = bytes.subarray(at, at + Number(length));
    at += Number(length);
    visit({ number, wireType, value: 0n, bytes: part });
  }
  return true;
}

/** Text of a string field; invalid UTF-8 is replaced. */
export function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

/** A google.protobuf.Duration of so many milliseconds, not negative. */
export function durationBytes(ms: number): Uint8Array {
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * 1e6);
  const bytes: number[] = [];
  const put = (tag: number, value: number) => {
    if (value === 0) return;
    bytes.push(tag);
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
    bytes.push(rest);
  };
  put(0x08, seconds);
  put(0x10, nanos);
  return Uint8Array.from(bytes);
}

/** Milliseconds of a google.protobuf.Duration, 0 for one below zero; undefined where the bytes are none. */
export function readDuration(bytes: Uint8Array): number | undefined {
  let ms = 0;
  const isWhole = readFields(bytes, (field) => {
    if (field.wireType !== 0) return;
    if (field.number === 1) ms += Number(BigInt.asIntN(64, field.value)) * 1000;
    else if (field.number === 2) ms += Number(BigInt.asIntN(32, field.value)) / 1e6;
  });
  return isWhole ? Math.max(0, ms) : undefined;
}
