/** Heads that are recognised must be what parsing them gives. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { HeadMemo } from "./head-memo.ts";
import { parseHead, type ResponseHead } from "./response-head.ts";

const date = "Sat, 21 Nov 2026 13:00:00 GMT";
const later = "Sat, 21 Nov 2026 13:00:10 GMT";

function head(...lines: string[]): string {
  return `${["HTTP/1.1 200 OK", ...lines].join("\r\n")}\r\n\r\n`;
}

/** The head, or the message of what is thrown. */
function outcome(parse: (text: string) => ResponseHead, text: string): ResponseHead | string {
  try {
    return parse(text);
  } catch (caught) {
    return String(caught);
  }
}

test("another date alone gives the same object, another length only that", () => {
  const memo = new HeadMemo();
  const first = memo.parse(head("Content-Type: text/plain", `Date: ${date}`, "Content-Length: 17"));
  expect(memo.parse(head("Content-Type: text/plain", `Date: ${later}`, "Content-Length: 17"))).toBe(first);
  expect(memo.parse(head("Content-Type: text/plain", `Date: ${later}`, "Content-Length: 12345"))).toEqual({
    ...first,
    contentLength: 12345,
  });
  const chunked = memo.parse(head(`Date: ${date}`, "Transfer-Encoding: chunked"));
  expect(memo.parse(head(`Date: ${later}`, "Transfer-Encoding: chunked"))).toBe(chunked);
});

describe("after a head", () => {
  const texts = [
    head(`Date: ${date}`, "Content-Length: 17"),
    head("content-length: 5", `date: ${date}`, "Connection: close"),
    head("Content-Length: 17", "\nContent-Length: 17"),
    head("Content-Length: 17", " 17"),
    head("Content-Length: 17 ", `Date: ${date}`),
    head(`X: 1\nContent-Length: 5`, "Content-Length: 5"),
    head(`Date: ${date}`, " folded", "Content-Length: 5"),
    head(`Date: ${date}`),
    head("Content-Encoding: gzip"),
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 200 OK\nContent-Length: 5\n\n",
  ];
  const anyChange = fc.record({
    base: fc.nat(texts.length - 1),
    at: fc.nat(200),
    remove: fc.nat(3),
    insert: fc.constantFrom("", "1", "77", "\0", "\r\n", "\n", " ", "x", "9999999999999999", "\x7f", "\t"),
  });

  test("any other is what parsing gives", () => {
    fc.assert(
      fc.property(fc.array(anyChange, { maxLength: 8 }), fc.nat(texts.length - 1), (changes, start) => {
        const memo = new HeadMemo();
        const before = texts[start] as string;
        expect(outcome((text) => memo.parse(text), before)).toEqual(outcome(parseHead, before));
        for (const { base, at, remove, insert } of changes) {
          const text = texts[base] as string;
          const place = at % (text.length + 1);
          const changed = text.slice(0, place) + insert + text.slice(place + remove);
          expect(outcome((each) => memo.parse(each), changed)).toEqual(outcome(parseHead, changed));
        }
      }),
      { numRuns: propertyRuns(2000) },
    );
  });
});
