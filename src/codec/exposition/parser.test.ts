import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { propertyRuns } from "../../../test/support/property-runs.ts";
import { DecodeError } from "../../model/errors.ts";
import type { ParserState } from "./exposition-parser.ts";
import { createOpenMetricsParser, createTextParser, type ExpositionParser } from "./parser.ts";

const samplePage = `# HELP http_requests_total Requests by \\"code\\".
# TYPE http_requests_total counter
http_requests_total{code="200",path="/a\\"b"} 1027 1395066363000
http_requests_total{code="4\u00e900"} 3
# TYPE rpc_seconds summary
rpc_seconds{quantile="0.5"} 4.5e-07
rpc_seconds_sum 1.7560473e+07
{"utf8.name","label name"="x"} NaN
# TYPE latency histogram
latency_bucket{le="1"} 2
latency_bucket{le="+Inf"} +Inf # {trace_id="abc"} 0.5 1520879607.789
latency_count -2
# EOF
`;
const textPage = samplePage.replace(/ # \{.*\n/, "\n");

const formats = [
  { format: "text", create: createTextParser, page: Buffer.from(textPage) },
  { format: "OpenMetrics", create: createOpenMetricsParser, page: Buffer.from(samplePage.replace("66363000", "")) },
];

interface Entry {
  readonly offset: number;
  readonly state: ParserState;
  readonly content: unknown;
}

function readEntries(parser: ExpositionParser): Entry[] {
  const entries: Entry[] = [];
  for (;;) {
    const { offset, state } = parser;
    const kind = parser.next();
    const { metricName, text, value, timestampMs, exemplar } = parser;
    if (kind === "series") entries.push({ offset, state, content: [parser.labels(), value, timestampMs, exemplar] });
    else
      entries.push({ offset, state, content: kind === "comment" || kind === "end" ? kind : [kind, metricName, text] });
    if (kind === "end") return entries;
  }
}

function readOrFault(parser: ExpositionParser): string {
  try {
    return JSON.stringify(readEntries(parser));
  } catch (caught) {
    if (!(caught instanceof DecodeError)) throw caught;
    expect(caught.offset).toBeGreaterThanOrEqual(0);
    return caught.message;
  }
}

const pieces = ["{", "}", '"', "\\", "=", ",", " ", "\t", "\n", "\0", "\xff", "#", "# {", "# TYPE a histogram\n", "le"];

describe.each(formats)("properties of the $format parser", ({ create, page }) => {
  test("going on at any line with the state gives the same as reading from the start", () => {
    const entries = readEntries(create(page));
    const parser = create(page);
    for (const [i, { offset, state }] of entries.entries()) {
      parser.reset(page);
      parser.seek(offset);
      parser.setState(state);
      expect(readEntries(parser)).toEqual(entries.slice(i));
    }
  });

  test("throws nothing but DecodeError on random bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void readOrFault(create(bytes))));
  });

  test("throws nothing but DecodeError on pieces of pages", () => {
    const piece = fc.oneof(
      fc.constantFrom(...pieces),
      fc.constantFrom("a", "1", "# HELP a b\n", "a 1\n", 'a{b="c"} 1\n'),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (parts) => {
        readOrFault(create(Buffer.from(parts.join(""), "latin1")));
      }),
      { numRuns: propertyRuns(1000) },
    );
  });

  test("throws nothing but DecodeError on mutations of a page, and a used parser reads as a new one", () => {
    const used = create(page);
    const mutation = fc.tuple(fc.nat(page.length - 1), fc.nat(5), fc.constantFrom(...pieces));
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), (mutations) => {
        let bytes: Buffer = page;
        for (const [at, cut, piece] of mutations) {
          const tail = bytes.subarray(Math.min(bytes.length, at + cut));
          bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(piece, "latin1"), tail]);
        }
        const first = readOrFault(create(bytes));
        used.reset(bytes);
        expect(readOrFault(used)).toBe(first);
      }),
      { numRuns: propertyRuns(1000) },
    );
  });
});
