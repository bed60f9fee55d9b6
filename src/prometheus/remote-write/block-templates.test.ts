/** Rows that are filled into templates are the rows that the plain encoder writes, whatever their values, labels and cuts. */

import fc from "fast-check";
import { uncompressSync } from "snappy";
import { describe, expect, test } from "vitest";
import { bitsOf, readWriteRequest, staleBits } from "../../../test/kit/remote-write-message.ts";
import { propertyRuns } from "../../../test/support/property-runs.ts";
import type { SamplesSegment } from "../../model/batch.ts";
import { sliceSamples } from "../../model/batch.ts";
import { Identities, type Label } from "../../model/identities.ts";
import { type Origin, SamplesLayout } from "../../model/layout.ts";
import { type EncodedRequest, RequestEncoder } from "./encode-request.ts";

const origin = { lane: 0 } as Origin;
const boundless = { samples: 100_000, bytes: 1 << 28 };

const byteOrder = ([a]: Label, [b]: Label) => Buffer.compare(Buffer.from(a), Buffer.from(b));

const labelText = fc.oneof(
  fc.constantFrom("a", "b", "pod", "pod-1", "pod-2", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
  fc.string({ unit: "binary", minLength: 1, maxLength: 30 }),
  fc.nat({ max: 3000 }).map((size) => "long".repeat(1 + (size >> 2))),
);
const labels = fc
  .uniqueArray(fc.tuple(labelText, labelText), { selector: ([name]) => name, maxLength: 5 })
  .map((list): Label[] => list.sort(byteOrder));
/** Many equal ones, whole numbers, and everything else. */
const value = fc.oneof(
  fc.constantFrom(0, -0, 1, 1, 2, 2.5, 1e6, Number.NaN, 1 / 0, -1 / 0),
  fc.integer(),
  fc.nat(300),
  fc.double(),
);
const time = fc.integer({ min: 1_600_000_000_000, max: 1_900_000_000_000 });

interface Scrape {
  readonly values: readonly number[];
  readonly stale: boolean | readonly number[];
  readonly timestampMs: number;
}

function scrapeOf(rows: number): fc.Arbitrary<Scrape> {
  const size = { minLength: rows, maxLength: rows };
  return fc.record({
    values: fc.array(value, size),
    stale: fc.oneof(fc.boolean(), fc.array(fc.nat(1), size)),
    timestampMs: fc.oneof({ weight: 9, arbitrary: time }, { weight: 1, arbitrary: fc.constantFrom(0, -5, 2 ** 50) }),
  });
}

function segmentOf(layout: SamplesLayout, { values, stale, timestampMs }: Scrape): SamplesSegment {
  return {
    form: "samples",
    layout,
    from: 0,
    to: values.length,
    values: Float64Array.from(values),
    stale: typeof stale === "boolean" ? stale : Uint8Array.from(stale),
    timestampMs,
  };
}

function expected(sets: readonly Label[][], { values, stale, timestampMs }: Scrape) {
  return values.map((number, row) => {
    const isStale = typeof stale === "boolean" ? stale : stale[row] === 1;
    return {
      labels: (sets[row] ?? []).map(([name, text]) => ({ name, value: text })),
      samples: [{ bits: isStale ? staleBits : bitsOf(number === 0 ? 0 : number), timestampMs }],
      exemplars: [],
      histograms: [],
    };
  });
}

/** All requests that a segment makes. */
function send(encoder: RequestEncoder, segment: SamplesSegment, bounds = boundless): EncodedRequest[] {
  const requests: EncodedRequest[] = [];
  encoder.begin();
  for (let rest: SamplesSegment | undefined = segment; rest !== undefined; ) {
    rest = encoder.add(rest, bounds, []);
    if (rest === undefined) break;
    requests.push(encoder.finish());
    encoder.begin();
  }
  return [...requests, encoder.finish()];
}

const seriesOf = (requests: readonly EncodedRequest[]) =>
  requests.flatMap(({ body }) => readWriteRequest(body).series.map((series) => ({ ...series })));

describe("templates", () => {
  test("are counted in bytes from the third sending on, for layouts of their own encoder", () => {
    const identities = new Identities();
    const sets = Uint32Array.from({ length: 50 }, (_, i) => identities.internLabels([["a", `value ${i}`]]));
    const layout = new SamplesLayout(identities, { labels: sets }, origin);
    const encoder = new RequestEncoder(identities, 1000);
    const other = new RequestEncoder(identities, 1000);
    const scrape = { values: new Array<number>(50).fill(1), stale: false, timestampMs: 1_700_000_000_000 };
    const bytes = [1, 2, 3, 4].map(() => {
      send(encoder, segmentOf(layout, scrape));
      return encoder.templateBytes;
    });
    const [first, second, third, fourth] = bytes;
    expect([first, second, other.templateBytes]).toEqual([0, 0, 0]);
    expect(third).toBeGreaterThan(50 * 6);
    expect(fourth).toBe(third);
  });

  test("a layout that is sent again and again arrives whole every time", () => {
    const scrapes = fc
      .array(labels, { minLength: 1, maxLength: 30 })
      .chain((sets) => fc.tuple(fc.constant(sets), fc.array(scrapeOf(sets.length), { minLength: 3, maxLength: 6 })));
    fc.assert(
      fc.property(scrapes, fc.integer({ min: 1, max: 40 }), ([sets, list], samples) => {
        const identities = new Identities();
        const rows = Uint32Array.from(sets, (set) => identities.internLabels(set));
        const layout = new SamplesLayout(identities, { labels: rows }, origin);
        const encoder = new RequestEncoder(identities, samples);
        for (const scrape of list) {
          const requests = send(encoder, segmentOf(layout, scrape), { ...boundless, samples });
          expect(seriesOf(requests)).toEqual(expected(sets, scrape));
          for (const request of requests) expect(request.samples).toBeLessThanOrEqual(samples);
        }
      }),
      { numRuns: propertyRuns(300) },
    );
  });

  test("the memory of a body is used again once it is given back, and not before", () => {
    const identities = new Identities();
    const sets = Array.from({ length: 4000 }, (_, i): Label[] => [["a", `value ${i} ${"x".repeat(i % 90)}`]]);
    const rows = Uint32Array.from(sets, (set) => identities.internLabels(set));
    const layout = new SamplesLayout(identities, { labels: rows }, origin);
    const encoder = new RequestEncoder(identities, sets.length);
    const buffers = new Set<ArrayBufferLike>();
    const held: { scrape: Scrape; requests: EncodedRequest[] }[] = [];
    for (let round = 0; round < 8; round++) {
      const values = sets.map((_, i) => round * 1e5 + i + 0.5);
      const scrape = { values, stale: false, timestampMs: 1_700_000_000_000 + round };
      const requests = send(encoder, segmentOf(layout, scrape));
      for (const { body } of requests) buffers.add(body.buffer);
      if (round % 4 === 0) held.push({ scrape, requests });
      else for (const { body } of requests) encoder.release(body);
    }
    for (const { scrape, requests } of held) expect(seriesOf(requests)).toEqual(expected(sets, scrape));
    expect(buffers.size).toBeLessThan(8);
    const before = encoder.bufferBytes;
    const bodies = held.flatMap(({ requests }) => requests.map(({ body }) => body));
    for (const body of bodies) encoder.release(body);
    const released = bodies.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
    expect(encoder.bufferBytes - before).toBe(released);
    for (let i = 0; i < 20; i++) encoder.release(new Uint8Array(1 << 20));
    expect(encoder.bufferBytes).toBeGreaterThan(before + (4 << 20));
    expect(encoder.bufferBytes).toBeLessThan(before + (8 << 20));
  });

  test("every part of a layout may be sent, in requests with others", () => {
    const identities = new Identities();
    const sets = Array.from({ length: 1234 }, (_, i): Label[] => [
      ["__name__", `requests_${i >> 7}_total`],
      ["path", `/api/${i}`],
      ["pod", `pod-${i % 3}`],
    ]);
    const layout = new SamplesLayout(
      identities,
      { labels: Uint32Array.from(sets, (set) => identities.internLabels(set)) },
      origin,
    );
    const encoder = new RequestEncoder(identities, 500);
    fc.assert(
      fc.property(fc.nat(1233), fc.nat(1234), fc.integer({ min: 1, max: 500 }), (a, b, samples) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const scrape = { values: sets.map((_, i) => i % 10), stale: false, timestampMs: 1_700_000_000_000 };
        const part = sliceSamples(segmentOf(layout, scrape), from, to);
        const requests = send(encoder, part, { ...boundless, samples });
        expect(seriesOf(requests)).toEqual(expected(sets, scrape).slice(from, to));
        expect(requests.reduce((sum, request) => sum + request.samples, 0)).toBe(to - from);
      }),
      { numRuns: propertyRuns(100) },
    );
  });

  test("requests keep to their bound of bytes and are filled to most of it", () => {
    const identities = new Identities();
    const sets = Array.from({ length: 3000 }, (_, i): Label[] => [["path", "x".repeat(100) + i]]);
    const layout = new SamplesLayout(
      identities,
      { labels: Uint32Array.from(sets, (set) => identities.internLabels(set)) },
      origin,
    );
    const encoder = new RequestEncoder(identities, 2000);
    const scrape = { values: sets.map((_, i) => i), stale: false, timestampMs: 1_700_000_000_000 };
    for (let round = 0; round < 5; round++) {
      for (const bytes of [10_000, 100_000, 1_000_000]) {
        const requests = send(encoder, segmentOf(layout, scrape), { samples: 2000, bytes });
        expect(seriesOf(requests)).toEqual(expected(sets, scrape));
        const sizes = requests.map(({ body }) => uncompressSync(body as Buffer).length);
        expect(Math.max(...sizes)).toBeLessThanOrEqual(bytes);
        for (const [i, size] of sizes.slice(0, -1).entries()) {
          const { samples } = requests[i] as EncodedRequest;
          expect(size > bytes / 2 || samples > 1500, `${size} of ${bytes}, ${samples} samples`).toBe(true);
        }
      }
    }
  });

  test("repeated and whole numbers take few bytes", () => {
    const identities = new Identities();
    const sets = Array.from({ length: 500 }, (_, i): Label[] => [["path", `p${1000 + i}`]]);
    const layout = new SamplesLayout(
      identities,
      { labels: Uint32Array.from(sets, (set) => identities.internLabels(set)) },
      origin,
    );
    const encoder = new RequestEncoder(identities, 500);
    const bytesPerRow = (value: (row: number) => number) => {
      const scrape = { values: sets.map((_, i) => value(i)), stale: false, timestampMs: 1_700_000_000_000 };
      for (let i = 0; i < 4; i++) send(encoder, segmentOf(layout, scrape));
      return (send(encoder, segmentOf(layout, scrape))[0]?.body.length ?? 0) / 500;
    };
    const random = bytesPerRow((row) => Math.sin(row) * 1e9);
    expect(bytesPerRow(() => 0)).toBeLessThan(random - 6);
    expect(bytesPerRow((row) => row * 7)).toBeLessThan(random - 3);
  });
});
