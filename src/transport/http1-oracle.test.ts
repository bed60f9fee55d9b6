import fc from "fast-check";
import { expect, test } from "vitest";
import {
  exchangeBytes,
  recorder,
  type SeenRequest,
  startHttp1,
  startNodeRecorder,
  statusesOf,
} from "../../test/support/http1-kit.ts";
import { propertyRuns } from "../../test/support/property-runs.ts";

const last = "GET /last HTTP/1.1\r\nHost: z\r\nConnection: close\r\n\r\n";

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/).map((name) => `x-${name}`);
const value = fc.stringMatching(/^[!-~\x80-\xff](?:[\t -~\x80-\xff]{0,30}[!-~\x80-\xff])?$/);
const blanks = fc.stringMatching(/^[ \t]{0,3}$/);
const fields = fc.array(
  fc.tuple(token, blanks, fc.oneof(value, fc.constant("")), blanks).map((parts) => {
    const [name, before, text, behind] = parts;
    return `${name}:${before}${text}${behind}\r\n`;
  }),
  { maxLength: 5 },
);
const target = fc.oneof(
  fc.stringMatching(/^\/[!-~]{0,30}$/),
  fc.constantFrom("*", "/", "http://a/b?c=d", "HTTPS://user@a:80", "/v1/metrics?x#y"),
);
const method = fc.constantFrom("GET", "POST", "PUT", "OPTIONS", "DELETE", "PURGE", "M-SEARCH", "QUERY");
const bytes = fc.stringMatching(/^[\x00-\xff]{0,60}$/);
const extension = fc.constantFrom("", "", "", ";a", ";a=b", ';a="b\\"; c"', ";a=b;c");
const trailers = fc.constantFrom("", "", "x-a: b\r\n", "x-a:\r\nx-b: c\r\n");
const chunks = fc
  .tuple(
    fc.array(
      fc.tuple(
        bytes.filter((text) => text !== ""),
        extension,
        fc.nat(3),
      ),
      { maxLength: 4 },
    ),
    trailers,
  )
  .map(([parts, ends]) => {
    const text = parts.map(
      ([part, more, zeros]) => `${"0".repeat(zeros)}${part.length.toString(16)}${more}\r\n${part}\r\n`,
    );
    return `Transfer-Encoding: chunked\r\n\r\n${text.join("")}0\r\n${ends}\r\n`;
  });
const body = fc.oneof(
  fc.constant("\r\n"),
  bytes.map((text) => `Content-Length: ${text.length}\r\n\r\n${text}`),
  chunks,
);
const request = fc
  .tuple(method, target, fields, body)
  .map(([name, url, lines, rest]) => `${name} ${url} HTTP/1.1\r\nHost: a\r\n${lines.join("")}${rest}`);
const stream = fc.array(request, { minLength: 1, maxLength: 4 }).map((requests) => requests.join("") + last);

/** Pieces of a stream, cut at these places. */
function cut(text: string, places: readonly number[]): string[] {
  const sorted = [...new Set(places.map((place) => place % text.length))].sort((a, b) => a - b);
  return [0, ...sorted].map((place, i) => text.slice(place, sorted[i])).filter((piece) => piece !== "");
}

async function setUp() {
  const ours: SeenRequest[] = [];
  const nodes: SeenRequest[] = [];
  const server = await startHttp1({ handler: recorder(ours) });
  const port = await startNodeRecorder(nodes);
  return {
    /** What both saw of a stream, and what they answered. */
    async compare(pieces: readonly string[]) {
      ours.length = 0;
      nodes.length = 0;
      const own = statusesOf(await exchangeBytes(server.port, pieces, true));
      const theirs = statusesOf(await exchangeBytes(port, [pieces.join("")], true));
      return { own, theirs, ours: [...ours], nodes: [...nodes] };
    },
  };
}

test("streams of requests are seen as node:http sees them, wherever they are cut", async () => {
  const { compare } = await setUp();
  await fc.assert(
    fc.asyncProperty(stream, fc.array(fc.nat(), { maxLength: 6 }), async (text, places) => {
      const { own, ours, nodes } = await compare(cut(text, places));
      expect(ours).toEqual(nodes);
      expect(ours.at(-1)?.url).toBe("/last");
      expect(own).toEqual(ours.map(() => 200));
    }),
    { numRuns: propertyRuns(150) },
  );
}, 60_000);

/** Where this server is stricter than node:http, as patterns of streams. */
const stricter: readonly RegExp[] = [
  // More than one blank in a request line, blanks behind it, and none of the three parts missing.
  /(?:^|\n)[A-Z-]+(?: [^\r\n]*)? {2}|(?:^|\n)[A-Z-]+ [^\r\n]* \r|(?:^|\n)[A-Z-]+ \S+\r/,
  /HTTP\/(?:2\.0|0\.9)/,
  /(?:^|\n)CONNECT /,
  / \*[^ ]/,
  /(?:^|\n)[A-Z-]+ [a-zA-Z]+:\/\//,
  /host:[\s\S]*?host:/i,
  /HTTP\/1\.0[\s\S]*transfer-encoding/i,
  /transfer-encoding:[^\r]*,/i,
  /expect:/i,
  /connection:/i,
  // Numbers that no body needs.
  /content-length:\s*\d{16,}/i,
  /[\da-f]{14,}/i,
  // A chunk's extension with an empty value or name.
  /\n[\da-f]+;[^\r]*\r/i,
];

test("streams with changed bytes are seen as node:http sees them, or refused; where it refuses, so is it here", async () => {
  const { compare } = await setUp();
  const notable = fc.constantFrom(...'\r\n\t :;,=/*"0179afAGHPx\u0000\u000b\u007f\u00a0\u00ff');
  const change = fc.record({
    at: fc.nat(),
    kind: fc.constantFrom("replace", "insert", "remove", "double"),
    text: fc.oneof(notable, fc.stringMatching(/^[\x00-\xff]$/), fc.constantFrom("\r\n", "\n\n", "0\r\n\r\n")),
  });
  const mutated = fc.tuple(request, fc.array(change, { minLength: 1, maxLength: 3 })).map(([text, changes]) => {
    let now = text;
    for (const { at, kind, text: by } of changes) {
      const place = at % Math.max(1, now.length);
      const skipped = kind === "replace" || kind === "remove" ? 1 : 0;
      const put = kind === "double" ? now.slice(place, place + 12) : kind === "remove" ? "" : by;
      now = now.slice(0, place) + put + now.slice(place + skipped);
    }
    return now + last;
  });
  await fc.assert(
    fc.asyncProperty(mutated, fc.array(fc.nat(), { maxLength: 3 }), async (text, places) => {
      const { own, ours, nodes } = await compare(cut(text, places));
      const isRefused = own.some((status) => status >= 400);
      if (isRefused && stricter.some((pattern) => pattern.test(text))) {
        // What was taken before is the same.
        expect(nodes.slice(0, ours.length)).toEqual(ours);
      } else expect(ours).toEqual(nodes);
    }),
    { numRuns: propertyRuns(600) },
  );
}, 120_000);
