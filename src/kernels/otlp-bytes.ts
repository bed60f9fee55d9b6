/** Byte loops of the OTLP codec. */

/** Whether `length` bytes are equal. Both views must reach `length` bytes behind their offsets. */
export function equalBytes(left: DataView, leftAt: number, right: DataView, rightAt: number, length: number): boolean {
  let x = leftAt;
  let y = rightAt;
  const end = leftAt + length;
  const wideEnd = end - 7;
  while (x < wideEnd) {
    const first = left.getInt32(x, true) ^ right.getInt32(y, true);
    if ((first | (left.getInt32(x + 4, true) ^ right.getInt32(y + 4, true))) !== 0) return false;
    x += 8;
    y += 8;
  }
  while (x < end) {
    if (left.getUint8(x) !== right.getUint8(y)) return false;
    x++;
    y++;
  }
  return true;
}

/** Bytes of the varint that begins at `at`, in bytes that are known to end it. */
export function varintBytes(bytes: Uint8Array, at: number): number {
  let end = at;
  while ((bytes[end] as number) >= 0x80) end++;
  return end - at + 1;
}

/** A varint as a number, in bytes that are known to end it; exact below 2^53. */
export function readVarint(bytes: Uint8Array, at: number): number {
  let value = 0;
  let scale = 1;
  for (let i = at; ; i++) {
    const byte = bytes[i] as number;
    value += (byte & 0x7f) * scale;
    if (!(byte >= 0x80)) return value;
    scale *= 128;
  }
}
