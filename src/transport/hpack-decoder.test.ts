import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HpackDecoder } from "./hpack-decoder.ts";
import { encodeHeaderBlock, Http2Error } from "./http2-wire.ts";

function decode(decoder: HpackDecoder, hex: string): string[] {
  const lines: string[] = [];
  decoder.decode(
    Buffer.from(hex.replaceAll(" ", ""), "hex"),
    ({ name, value }) => void lines.push(`${name}: ${value}`),
  );
  return lines;
}

const date = "date: Mon, 21 Oct 2013 20:13:2";

describe("the examples of RFC 7541", () => {
  test("requests, without and with the Huffman code (C.3, C.4)", () => {
    const forms = [
      [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
      ],
      [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
      ],
    ];
    for (const blocks of forms) {
      const decoder = new HpackDecoder();
      const common = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
      const secure = [":method: GET", ":scheme: https", ":path: /index.html", ":authority: www.example.com"];
      expect(blocks.map((hex) => decode(decoder, hex))).toEqual([
        common,
        [...common, "cache-control: no-cache"],
        [...secure, "custom-key: custom-value"],
      ]);
    }
  });

  test("responses in a table of 256 bytes, which forgets (C.6)", () => {
    const decoder = new HpackDecoder();
    const blocks = [
      "3fe1 01 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
      "4883 640e ffc1 c0bf",
      "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    const location = "location: https://www.example.com";
    expect(blocks.map((hex) => decode(decoder, hex))).toEqual([
      [":status: 302", "cache-control: private", `${date}1 GMT`, location],
      [":status: 307", "cache-control: private", `${date}1 GMT`, location],
      [
        ":status: 200",
        "cache-control: private",
        `${date}2 GMT`,
        location,
        "content-encoding: gzip",
        "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
      ],
    ]);
  });
});

test.each([
  ["an index of nothing", "80"],
  ["an index behind the table", "be"],
  ["a number that does not end", "7f ffffffffffffffff"],
  ["a number of 2^28", "ff 80808080 01"],
  ["a text that is cut off", "00 05 61"],
  ["a length without a text", "00"],
  ["a Huffman code of padding alone", "00 81 ff 00 82 ff ff"],
  ["a Huffman code that ends in zeros", "00 81 00 00"],
  ["an end within a Huffman code", "00 84 ffffffff 00"],
  ["a table above 4,096 bytes", "3f e2 1f"],
  ["a table size behind a header", "82 20"],
])("%s is refused", (_title, hex) => {
  expect(() => decode(new HpackDecoder(), hex)).toThrow(Http2Error);
});

test.each([
  ["capital letters in a name", "00 01 41 01 61"],
  ["a line end in a value", "00 01 61 02 610a"],
  ["a space before a value", "00 01 61 02 2061"],
  ["no name", "00 00 01 61"],
])("%s is marked", (_title, hex) => {
  const seen: boolean[] = [];
  new HpackDecoder().decode(Buffer.from(hex.replaceAll(" ", ""), "hex"), ({ isValid }) => void seen.push(isValid));
  expect(seen).toEqual([false]);
});

test("what our side encodes is decoded, and changes no table", () => {
  const text = fc.string({ unit: fc.constantFrom(..."abcxyz019-"), minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(fc.dictionary(text, text), (headers) => {
      const decoder = new HpackDecoder();
      const seen: [string, string][] = [];
      decoder.decode(encodeHeaderBlock(headers), ({ name, value }) => void seen.push([name, value]));
      expect(seen).toEqual(Object.entries(headers));
      expect(decoder.changes).toBe(0);
    }),
  );
});

test("any bytes are decoded or refused", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), (blocks) => {
      const decoder = new HpackDecoder();
      try {
        for (const block of blocks) decoder.decode(Buffer.from(block), () => {});
      } catch (caught) {
        expect(caught).toBeInstanceOf(Http2Error);
      }
    }),
  );
});
