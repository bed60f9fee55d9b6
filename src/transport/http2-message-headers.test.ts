import fc from "fast-check";
import { expect, test } from "vitest";
import { HpackDecoder } from "./hpack-decoder.ts";
import { HeaderReader, requestRules } from "./http2-message-headers.ts";
import { encodeHeaderBlock, type HeaderTexts } from "./http2-wire.ts";

const base = { ":method": "POST", ":scheme": "http", ":path": "/a" };
const blockOf = (more: HeaderTexts = {}) => encodeHeaderBlock({ ...base, ...more });

/** Puts a header into the decoder's table. */
function indexed(name: string, value: string): Buffer {
  const text = (part: string) => [Buffer.from([part.length]), Buffer.from(part)];
  return Buffer.concat([Buffer.from([0x40]), ...text(name), ...text(value)]);
}

test("the last few blocks are the same object while the table stays", () => {
  const reader = new HeaderReader(10_000, requestRules);
  const blocks = ["1", "2", "3", "4"].map((value) => blockOf({ own: value }));
  const first = blocks.map((block) => reader.read(block));
  expect(blocks.map((block) => reader.read(block)).every((headers, i) => headers === first[i])).toBe(true);
  // A fifth takes the place of the oldest.
  reader.read(blockOf({ own: "5" }));
  expect(blocks.map((block) => reader.read(block) === first[blocks.indexOf(block)])[0]).toBe(false);
  const last = reader.read(blockOf({ own: "6" }));
  reader.skip(indexed("x", "y"));
  expect(reader.read(blockOf({ own: "6" }))).not.toBe(last);
});

test.each([
  ["12", 12],
  ["0012", 12],
  ["", Number.NaN],
  ["-1", Number.NaN],
  ["1e3", Number.NaN],
  ["1234567890123456", Number.NaN],
])("content-length %j is %d bytes", (text, bytes) => {
  expect(new HeaderReader(10_000, requestRules).read(blockOf({ "content-length": text }))).toHaveProperty(
    "declaredBytes",
    bytes,
  );
});

test("what is remembered is what decoding gives, whatever changes the table in between", () => {
  const headers = fc.constantFrom("a", "b", "c").map((name) => Buffer.concat([blockOf(), indexed(name, name)]));
  const step = fc.oneof(
    fc.constantFrom("1", "2", "3", "4", "5").map((own) => blockOf({ own })),
    // The newest of the table, whichever that is; before the first there is none.
    fc.constant(Buffer.concat([blockOf(), Buffer.from([0x80 | 62])])),
    headers,
    fc
      .constantFrom(0x20, 0x3f)
      .map((size) => Buffer.concat([Buffer.from(size === 0x3f ? [0x3f, 0x61] : [size]), blockOf()])),
  );
  fc.assert(
    fc.property(fc.array(fc.record({ block: step, isSkipped: fc.boolean() }), { maxLength: 40 }), (steps) => {
      const reader = new HeaderReader(10_000, requestRules);
      const decoder = new HpackDecoder();
      for (const { block, isSkipped } of steps) {
        const expected: string[] = [];
        try {
          decoder.decode(block, ({ name, value }) => expected.push(name, value));
        } catch {
          expect(() => reader.read(block)).toThrow();
          return;
        }
        if (isSkipped) reader.skip(block);
        else expect(reader.read(block)).toHaveProperty("rawHeaders", expected);
      }
    }),
  );
});
