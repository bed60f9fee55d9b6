/** The page scanner yields exactly what the parser yields, on random, truncated and damaged pages and on real ones. */

import { existsSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createOpenMetricsParser, createTextParser } from "../../src/codec/exposition/parser.ts";
import { type PageScan, type PageTemplate, scanPage } from "../../src/kernels/scan-page.ts";
import { damagePage, damages, pageLine, renderPage, valueText } from "../support/random-page.ts";
import { createPageReader, sortRows } from "../support/read-target-page.ts";

const repoRoot = new URL("../../", import.meta.url);
const pages = new URL("../shared/conformance/exposition/", repoRoot);
const isAbsent = !existsSync(pages);

interface Entry {
  readonly value: number;
  readonly timestampMs: number;
  readonly valueStart: number;
  /** Where the next line begins. */
  readonly end: number;
}

/** The samples of a page up to its fault, if it has one. */
function parse(page: Buffer, isOpenMetrics: boolean): Entry[] {
  const parser = isOpenMetrics ? createOpenMetricsParser(page) : createTextParser(page);
  const entries: Entry[] = [];
  try {
    for (let kind = parser.next(); kind !== "end"; kind = parser.next()) {
      if (kind !== "series") continue;
      const { value, timestampMs = Number.NaN, valueStart, offset } = parser;
      entries.push({ value, timestampMs, valueStart, end: offset });
    }
  } catch {
    // The fault ends the list.
  }
  return entries;
}

/** The template that a page makes, by the parser. */
function templateOf(page: Buffer, isOpenMetrics: boolean): PageTemplate {
  const parts: Buffer[] = [];
  const ends: number[] = [];
  let start = 0;
  let length = 0;
  for (const { valueStart, end } of parse(page, isOpenMetrics)) {
    parts.push(page.subarray(start, valueStart));
    length += valueStart - start;
    ends.push(length);
    start = end;
  }
  const text = new Uint8Array(Buffer.concat(parts));
  return { text, view: new DataView(text.buffer), ends: Uint32Array.from(ends), lines: ends.length, rows: undefined };
}

function scan(
  template: PageTemplate,
  page: Buffer,
  isOpenMetrics: boolean,
  hasTimes: boolean,
): PageScan & { done: boolean } {
  // What stands behind the page belongs to the page before.
  const buffer = Buffer.concat([page, Buffer.from("00 1\n7\n".repeat(4))]);
  const state: PageScan = {
    page: buffer,
    view: new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength),
    length: page.length,
    line: 0,
    offset: 0,
    values: new Float64Array(template.lines + 1),
    timestamps: hasTimes ? new Float64Array(template.lines + 1) : undefined,
    timestampScale: isOpenMetrics ? 1000 : 1,
    starts: new Uint32Array(template.lines),
    seen: new Uint8Array(template.lines),
  };
  const done = scanPage(template, state);
  return { ...state, line: state.line, offset: state.offset, done };
}

/** Everything that was yielded is what the parser reads there; returns how many lines were. */
function checkYield(template: PageTemplate, page: Buffer, isOpenMetrics: boolean, hasTimes: boolean): number {
  const result = scan(template, page, isOpenMetrics, hasTimes);
  const entries = parse(page, isOpenMetrics);
  expect(result.done).toBe(result.line === template.lines);
  expect(entries.length).toBeGreaterThanOrEqual(result.line);
  expect(result.offset).toBe(result.line === 0 ? 0 : entries[result.line - 1]?.end);
  expect(result.offset).toBeLessThanOrEqual(page.length);
  let start = 0;
  for (let line = 0; line < result.line; line++) {
    const entry = entries[line] as Entry;
    const time = hasTimes ? result.timestamps?.[line] : Number.NaN;
    if (!Object.is(result.values[line], entry.value) || !Object.is(time, entry.timestampMs)) {
      expect([line, result.values[line], time]).toEqual([line, entry.value, entry.timestampMs]);
    }
    const from = line === 0 ? 0 : (template.ends[line - 1] as number);
    const known = template.text.subarray(from, template.ends[line]);
    if (Buffer.compare(known, page.subarray(start, entry.valueStart)) !== 0)
      expect(line).toBe("a line of the template");
    start = entry.end;
  }
  return result.line;
}

const twoPages = fc.boolean().chain((isOpenMetrics) =>
  fc.record({
    isOpenMetrics: fc.constant(isOpenMetrics),
    hasTimes: fc.boolean(),
    first: fc.array(pageLine(isOpenMetrics), { maxLength: 8 }),
    second: fc.option(fc.array(pageLine(isOpenMetrics), { maxLength: 8 })),
    values: fc.array(valueText, { minLength: 8, maxLength: 8 }),
    faults: damages,
    lineEnd: fc.constantFrom("\n", "\n", "\n", "\r\n"),
  }),
);

describe("random pages", () => {
  test("against the template of another page or of the same one with other values", () => {
    fc.assert(
      fc.property(twoPages, ({ isOpenMetrics, hasTimes, first, second, values, faults, lineEnd }) => {
        const template = templateOf(renderPage(first, isOpenMetrics), isOpenMetrics);
        const lines = second ?? first.map((line, i) => ({ ...line, value: values[i] ?? "1" }));
        const text = renderPage(lines, isOpenMetrics).toString("latin1").replaceAll("\n", lineEnd);
        checkYield(template, damagePage(Buffer.from(text, "latin1"), faults), isOpenMetrics, hasTimes);
      }),
      { numRuns: 2500 },
    );
  });

  test("cut off at every byte", () => {
    fc.assert(
      fc.property(twoPages, ({ isOpenMetrics, hasTimes, first, values }) => {
        const template = templateOf(renderPage(first.slice(0, 4), isOpenMetrics), isOpenMetrics);
        const lines = first.slice(0, 4).map((line, i) => ({ ...line, value: values[i] ?? "1" }));
        const page = renderPage(lines, isOpenMetrics);
        for (let length = 0; length <= page.length; length++) {
          checkYield(template, page.subarray(0, length), isOpenMetrics, hasTimes);
        }
      }),
      { numRuns: 40 },
    );
  });

  test("reads a page of plain numbers whole", () => {
    const plain = fc.oneof(fc.nat(), fc.double({ noNaN: true, noDefaultInfinity: true })).map(String);
    fc.assert(
      fc.property(
        fc.array(pageLine(false), { maxLength: 8 }),
        fc.array(plain, { minLength: 8, maxLength: 8 }),
        (lines, values) => {
          const page = renderPage(
            lines.map((line, i) => ({ ...line, time: "", value: values[i] ?? "1" })),
            false,
          );
          expect(checkYield(templateOf(page, false), page, false, false)).toBe(lines.length);
        },
      ),
      { numRuns: 500 },
    );
  });
});

/** A small random generator, so that a failing mutation can be named by its seed. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const hostileBytes = [
  0x00, 0x09, 0x0a, 0x0d, 0x20, 0x22, 0x23, 0x2b, 0x2d, 0x2e, 0x30, 0x5c, 0x65, 0x7b, 0x7d, 0x80, 0xc3, 0xff,
];

/** One to three changes of bytes, lines or the length. */
function mutate(page: Buffer, seed: number): Buffer {
  const below = random(seed);
  let bytes = Buffer.from(page);
  for (let count = 1 + below(3); count > 0; count--) {
    const at = below(bytes.length + 1);
    const line = bytes.indexOf(0x0a, at) + 1;
    const next = bytes.indexOf(0x0a, line) + 1;
    const kind = below(6);
    if (kind === 0) bytes = Buffer.from(bytes.subarray(0, at));
    else if (kind === 1) bytes[at] = hostileBytes[below(hostileBytes.length)] as number;
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + below(5))]);
    else if (kind === 3 && next > line) bytes = Buffer.concat([bytes.subarray(0, line), bytes.subarray(next)]);
    else if (kind === 4 && next > line) bytes = Buffer.concat([bytes.subarray(0, next), bytes.subarray(line)]);
    else
      bytes = Buffer.concat([
        bytes.subarray(0, at),
        Buffer.of(hostileBytes[below(hostileBytes.length)] as number),
        bytes.subarray(at),
      ]);
  }
  return bytes;
}

/** Mutations of each page; 20,000 in all take 25 s, and were run so when this was written. */
const table = [
  { file: "1histogram.om.txt", scans: 1000, reads: 120 },
  { file: "alltypes.5mfs.om.txt", scans: 1000, reads: 120 },
  { file: "alltypes.237mfs.prom.txt", scans: 60, reads: 6 },
  { file: "alltypes.237mfs.nometa.prom.txt", scans: 60, reads: 6 },
];

describe.skipIf(isAbsent)("real pages (skipped where ../shared/conformance is absent)", () => {
  test.each(table)("$file: the kernel on mutations", ({ file, scans }) => {
    const page = readFileSync(new URL(file, pages));
    const isOpenMetrics = file.endsWith(".om.txt");
    const template = templateOf(page, isOpenMetrics);
    for (let seed = 0; seed < scans; seed++) {
      const hasTimes = seed % 2 === 0;
      try {
        checkYield(template, mutate(page, seed), isOpenMetrics, hasTimes);
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  });

  test.each(table)("$file: the page cache on mutations, with what it knows and without", ({ file, reads }) => {
    const page = readFileSync(new URL(file, pages));
    const isOpenMetrics = file.endsWith(".om.txt");
    const knowing = createPageReader();
    const { identities } = knowing;
    for (let seed = 0; seed < reads; seed++) {
      const mutated = mutate(page, seed);
      const fresh = createPageReader({ identities });
      const [got, wanted] = [knowing.read(mutated, isOpenMetrics), fresh.read(mutated, isOpenMetrics)].map(
        (content) => ({
          ...sortRows(content),
          seriesAdded: 0,
        }),
      );
      if ("rows" in (got ?? {}))
        expect({ seed, ...withoutFamilies(got) }).toEqual({ seed, ...withoutFamilies(wanted) });
      else expect({ seed, ...got }).toEqual({ seed, ...wanted });
      knowing.read(page, isOpenMetrics);
    }
  });
});

/** Metadata outlives the lines that declared it, so families are compared elsewhere. */
function withoutFamilies(content: object | undefined): object {
  const { rows, ...rest } = content as { rows: { family: string }[] };
  return { ...rest, rows: rows.map(({ family, ...row }) => row) };
}
