import fc from "fast-check";
import { expect, test } from "vitest";
import { PeerSettings } from "./http2-peer-settings.ts";
import { frameFlags, frameHeadBytes, frameTypes, settingIds } from "./http2-wire.ts";

/** The payload of a SETTINGS frame with one setting. */
function setting(id: number, value: number): Buffer {
  const payload = Buffer.alloc(6);
  payload.writeUInt16BE(id, 0);
  payload.writeUInt32BE(value, 2);
  return payload;
}

function framesOf(bytes: Buffer) {
  const frames = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + frameHeadBytes + bytes.readUIntBE(at, 3);
    const [type, flags] = bytes.subarray(at + 3, at + 5);
    frames.push({ type, flags, stream: bytes.readUInt32BE(at + 5), payload: bytes.subarray(at + frameHeadBytes, end) });
    at = end;
  }
  return frames;
}

test("a header block goes in frames of the size that is taken: HEADERS, then CONTINUATION, of which the last ends it", () => {
  const sizes = fc.oneof(fc.nat(100_000), fc.constantFrom(0, 1, 16_384, 16_385, 32_768, 32_769));
  const most = fc.constantFrom(16_384, 20_000, 65_536);
  fc.assert(
    fc.property(sizes, most, fc.boolean(), fc.boolean(), (bytes, maxFrame, endsStream, wantsNoTable) => {
      const peer = new PeerSettings("client");
      peer.apply(setting(settingIds.maxFrame, maxFrame), []);
      if (wantsNoTable) peer.apply(setting(settingIds.tableSize, 0), []);
      const block = Buffer.from(Array.from({ length: bytes }, (_, i) => i % 251));
      const frames = framesOf(peer.headerFrames(7, block, endsStream));
      expect(Buffer.concat(frames.map(({ payload }) => payload))).toEqual(
        wantsNoTable ? Buffer.concat([Buffer.from([0x20]), block]) : block,
      );
      expect(frames.every(({ stream, payload }) => stream === 7 && payload.length <= maxFrame)).toBe(true);
      expect(frames.slice(0, -1).every(({ payload }) => payload.length === maxFrame)).toBe(true);
      const last = frames.length - 1;
      const heads = frames.map((_frame, i) => [
        i === 0 ? frameTypes.headers : frameTypes.continuation,
        (i === 0 && endsStream ? frameFlags.endStream : 0) | (i === last ? frameFlags.endHeaders : 0),
      ]);
      expect(frames.map(({ type, flags }) => [type, flags])).toEqual(heads);
      expect(peer.mustEmptyTable).toBe(false);
    }),
    { numRuns: 100 },
  );
});

test("a window that is set changes those of open streams, as often as it changes", () => {
  const peer = new PeerSettings("server");
  const streams = [{ sendWindowBytes: 65_535 }, { sendWindowBytes: 10 }];
  const results = [100, 100, 0].map((bytes) => [
    peer.apply(setting(settingIds.initialWindow, bytes), streams),
    ...streams.map(({ sendWindowBytes }) => sendWindowBytes),
  ]);
  expect(results).toEqual([
    [true, 100, -65_425],
    [false, 100, -65_425],
    [true, 0, -65_525],
  ]);
  const full = [{ sendWindowBytes: 2 ** 31 - 1 }];
  expect(() => peer.apply(setting(settingIds.initialWindow, 1), full)).toThrow("a window too large");
});
