/** Requests, read back with protobufjs, hold exactly what was put in, within their bounds. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bitsOf, readWriteRequest, staleBits } from "../../../test/kit/remote-write-message.ts";
import { propertyRuns } from "../../../test/support/property-runs.ts";
import type { SampleExemplar, SamplesSegment } from "../../model/batch.ts";
import { Identities, type Label } from "../../model/identities.ts";
import { type Origin, SamplesLayout } from "../../model/layout.ts";
import { encodeMetadataRequest, type RequestBounds, RequestEncoder } from "./encode-request.ts";

const origin = { lane: 0 } as Origin;
const boundless: RequestBounds = { samples: 1_000_000, bytes: 1 << 28 };

interface Row {
  readonly labels: readonly Label[];
  readonly value: number;
  readonly stale: boolean;
  readonly timestampMs: number;
  readonly exemplar?: Omit<SampleExemplar, "row"> | undefined;
}

/** A segment of the rows, with whole columns or with one value for all where that is possible. */
function segmentOf(identities: Identities, rows: readonly Row[], options: { wide?: boolean } = {}): SamplesSegment {
  const labels = Uint32Array.from(rows, (row) => identities.internLabels(row.labels));
  const { wide = true } = options;
  const oneTime = !wide && new Set(rows.map((row) => row.timestampMs)).size <= 1;
  const allStale = !wide && rows.every((row) => row.stale);
  const noneStale = !wide && rows.every((row) => !row.stale);
  return {
    form: "samples",
    layout: new SamplesLayout(identities, { labels }, origin),
    from: 0,
    to: rows.length,
    values: Float64Array.from(rows, (row) => row.value),
    stale: allStale || noneStale ? allStale && rows.length > 0 : Uint8Array.from(rows, (row) => (row.stale ? 1 : 0)),
    timestampMs: rows[0]?.timestampMs ?? 0,
    timestampsMs: oneTime ? undefined : Float64Array.from(rows, (row) => row.timestampMs),
  };
}

/** A zero of either sign is left out of the message, as Prometheus does. */
const plainZero = (value: number): number => (value === 0 ? 0 : value);

const exemplarsOf = (rows: readonly Row[]): SampleExemplar[] =>
  rows.flatMap(({ exemplar }, row) => (exemplar === undefined ? [] : [{ ...exemplar, row }]));

/** Encodes all segments into as many requests as the bounds make of them. */
function encodeAll(identities: Identities, segments: readonly SamplesSegment[], bounds: RequestBounds) {
  const encoder = new RequestEncoder(identities, bounds.samples);
  const requests: ReturnType<typeof encoder.finish>[] = [];
  encoder.begin();
  for (const segment of segments) {
    let rest: SamplesSegment | undefined = segment;
    let taken = 0;
    while (rest !== undefined) {
      const exemplars: SampleExemplar[] = (segment.exemplars ?? [])
        .filter(({ row }) => row >= taken)
        .map((exemplar) => ({ ...exemplar, row: exemplar.row - taken }));
      const before: SamplesSegment = rest;
      rest = encoder.add(before, bounds, exemplars);
      if (rest === undefined) break;
      taken += before.to - before.from - (rest.to - rest.from);
      requests.push(encoder.finish());
      encoder.begin();
    }
  }
  requests.push(encoder.finish());
  return requests;
}

/** What a request must hold, series by series; an exemplar follows the samples of its segment. */
const expectedSeries = (rows: readonly Row[]) => [
  ...rows.map(({ labels, value, stale, timestampMs }) => ({
    labels: labels.map(([name, text]) => ({ name, value: text })),
    samples: [{ bits: stale ? staleBits : bitsOf(plainZero(value)), timestampMs }],
    exemplars: [],
    histograms: [],
  })),
  ...rows.flatMap(({ labels, exemplar, timestampMs }) =>
    exemplar === undefined
      ? []
      : [
          {
            labels: labels.map(([name, text]) => ({ name, value: text })),
            samples: [],
            exemplars: [
              {
                labels: sorted(exemplar.labels).map(([name, text]) => ({ name, value: text })),
                bits: bitsOf(plainZero(exemplar.value)),
                timestampMs: exemplar.timestampMs ?? timestampMs,
              },
            ],
            histograms: [],
          },
        ],
  ),
];

const sorted = (labels: readonly Label[]): Label[] =>
  [...labels].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

const labelText = fc.oneof(
  { weight: 6, arbitrary: fc.string({ unit: "binary", minLength: 1, maxLength: 12 }) },
  { weight: 1, arbitrary: fc.nat({ max: 400 }).map((length) => "v".repeat(length + 1)) },
);
const labelSet: fc.Arbitrary<Label[]> = fc
  .uniqueArray(fc.tuple(labelText, labelText), { selector: ([name]) => name, maxLength: 6 })
  .map(sorted);
const timestamp = fc.oneof(
  fc.integer({ min: 1_600_000_000_000, max: 1_800_000_000_000 }),
  fc.constantFrom(0, 1, -1, 127, 128, -62_135_596_800_000, 2 ** 53 - 1, -(2 ** 53 - 1), -(2 ** 63)),
);
const value = fc.oneof(
  fc.double(),
  fc.constantFrom(0, -0, Number.NaN, 5e-324, -5e-324, Number.MAX_VALUE, 1 / 0, -1 / 0),
);
const exemplar: fc.Arbitrary<Omit<SampleExemplar, "row">> = fc.record({
  labels: fc.uniqueArray(fc.tuple(labelText, labelText), { selector: ([name]) => name, maxLength: 2 }),
  value,
  timestampMs: fc.option(timestamp, { nil: undefined }),
});
const row: fc.Arbitrary<Row> = fc.record({
  labels: labelSet,
  value,
  stale: fc.boolean(),
  timestampMs: timestamp,
  exemplar: fc.option(exemplar, { nil: undefined, freq: 4 }),
});

describe("requests", () => {
  test("hold every row, bit for bit", () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 12 }), fc.boolean(), (rows, wide) => {
        const identities = new Identities();
        const exemplars = exemplarsOf(rows);
        const segment = { ...segmentOf(identities, rows, { wide }), exemplars };
        const [request, ...others] = encodeAll(identities, [segment], boundless);
        expect(others).toEqual([]);
        expect(readWriteRequest(request?.body ?? new Uint8Array()).series).toEqual(expectedSeries(rows));
        expect(request?.samples).toBe(rows.length);
        expect(request?.exemplars).toBe(exemplars.length);
        const times = rows.map(({ timestampMs }) => timestampMs);
        expect(request?.highestTimestampMs).toBe(Math.max(0, ...times));
      }),
      { numRuns: propertyRuns(400) },
    );
  });

  test("native histograms are cut as samples are, each in a series of its own", () => {
    const identities = new Identities();
    const rows = [1, 2, 3].map((n) => ({
      labels: [["a", String(n)]] as Label[],
      value: 0,
      stale: false,
      timestampMs: n,
    }));
    const histograms = rows.map((_row, i) => Uint8Array.of(0x08, i));
    for (const bounds of [
      { samples: 2, bytes: 10_000 },
      { samples: 10, bytes: 60 },
    ]) {
      const requests = encodeAll(identities, [{ ...segmentOf(identities, rows), histograms }], bounds);
      expect(requests.length).toBeGreaterThan(1);
      expect(requests.map(({ samples }) => samples).reduce((a, b) => a + b)).toBe(3);
      const series = requests.flatMap(({ body }) => readWriteRequest(body).series);
      expect(series.map((one) => [one.labels, one.samples, one.histograms.map((bytes) => [...bytes])])).toEqual(
        rows.map(({ labels: [[name, value] = ["", ""]] }, i) => [[{ name, value }], [], [[0x08, i]]]),
      );
    }
  });

  test("one value for all rows stands for a column", () => {
    for (const stale of [true, false]) {
      const identities = new Identities();
      const rows = [1, 2].map((n) => ({ labels: [["a", String(n)]] as Label[], value: n, stale, timestampMs: 99 }));
      const [request] = encodeAll(identities, [segmentOf(identities, rows, { wide: false })], boundless);
      expect(readWriteRequest(request?.body ?? new Uint8Array()).series).toEqual(expectedSeries(rows));
    }
  });

  test("are cut by samples and by bytes, in order, with nothing lost or twice", () => {
    const bounds = fc.record({ samples: fc.integer({ min: 1, max: 9 }), bytes: fc.integer({ min: 1, max: 3000 }) });
    const segments = fc.array(fc.array(row, { maxLength: 9 }), { maxLength: 4 });
    fc.assert(
      fc.property(segments, bounds, (lists, limits) => {
        const identities = new Identities();
        const all = lists.map((rows) => ({ ...segmentOf(identities, rows), exemplars: exemplarsOf(rows) }));
        const requests = encodeAll(identities, all, limits).map((request) => ({
          ...request,
          read: readWriteRequest(request.body),
        }));
        const got = requests.flatMap(({ read }) => read.series);
        const wanted = lists.flatMap((rows) => expectedSeries(rows));
        expect(got.filter(({ samples }) => samples.length > 0)).toEqual(
          wanted.filter(({ samples }) => samples.length > 0),
        );
        expect(got.filter(({ exemplars }) => exemplars.length > 0)).toEqual(
          wanted.filter(({ exemplars }) => exemplars.length > 0),
        );
        for (const { samples } of requests) expect(samples).toBeLessThanOrEqual(limits.samples);
      }),
      { numRuns: propertyRuns(400) },
    );
  });

  test("are not larger than their bound, unless one series alone is", () => {
    const identities = new Identities();
    const rows = Array.from({ length: 3000 }, (_, i) => ({
      labels: [["series", `${i}`.padStart(i === 1500 ? 50_000 : 200, "x")]] as Label[],
      value: i,
      stale: false,
      timestampMs: 1_700_000_000_000,
    }));
    for (const bytes of [1000, 40_000, 300_000]) {
      const sizes: number[] = [];
      for (const { body } of encodeAll(identities, [segmentOf(identities, rows)], { samples: 100_000, bytes })) {
        const { series } = readWriteRequest(body);
        sizes.push(
          series.reduce(
            (sum, { labels }) => sum + 4 + 20 + Buffer.byteLength(`${labels[0]?.name}${labels[0]?.value}`),
            0,
          ),
        );
      }
      expect(sizes.filter((size) => size > bytes).length).toBe(bytes < 50_000 ? 1 : 0);
      // Not far from full either.
      expect(sizes.length).toBeLessThan((3000 * 260 + 50_000) / bytes + 400);
    }
  });

  test("hold labels of every length, next to labels of every length", () => {
    // Lengths around these have bytes that look like the end of a NaN to whoever copies eight at a time.
    const lengths = [0, 1, 7, 8, 120, 127, 128, 16_360, 16_367, 16_370, 16_377, 16_383, 16_384, 32_760];
    for (const [i, long] of lengths.entries()) {
      const identities = new Identities();
      const rows = Array.from({ length: 16 }, (_, n) => ({
        labels: [
          ["a", "b".repeat(1 + n)],
          ["z", `${n}`.padEnd(1 + (n % 2 === 0 ? long : (lengths[(i + n) % lengths.length] ?? 0)), "y")],
        ] as Label[],
        value: n,
        stale: false,
        timestampMs: 1,
      }));
      const [request] = encodeAll(identities, [segmentOf(identities, rows)], boundless);
      expect(readWriteRequest(request?.body ?? new Uint8Array()).series).toEqual(expectedSeries(rows));
    }
  });

  test("pass rows without a label set over", () => {
    const identities = new Identities();
    const rows = [1, 2, 3].map((n) => ({
      labels: [["a", String(n)]] as Label[],
      value: n,
      stale: false,
      timestampMs: 5,
    }));
    const segment = segmentOf(identities, rows);
    segment.layout.labels?.fill(0, 1, 2);
    const [request] = encodeAll(identities, [segment], boundless);
    expect(readWriteRequest(request?.body ?? new Uint8Array()).series).toEqual(
      expectedSeries(rows.filter(({ value: n }) => n !== 2)),
    );
  });

  test("hold rows of a slice of a layout", () => {
    const identities = new Identities();
    const rows = [1, 2, 3].map((n) => ({
      labels: [["a", String(n)]] as Label[],
      value: n,
      stale: false,
      timestampMs: 5,
    }));
    const whole = segmentOf(identities, rows);
    const part = { ...whole, from: 1, to: 3, values: whole.values.subarray(1), stale: false, timestampsMs: undefined };
    const [request] = encodeAll(identities, [part], boundless);
    expect(readWriteRequest(request?.body ?? new Uint8Array()).series).toEqual(expectedSeries(rows.slice(1)));
  });
});

test("metadata of families", () => {
  const entries = [
    { name: "a", type: "counter", help: "Help \u00e4", unit: "seconds" },
    { name: "b", type: "unknown", help: "", unit: "" },
    { name: "c", type: "stateset", help: "x".repeat(300), unit: "" },
  ] as const;
  expect(readWriteRequest(encodeMetadataRequest(entries)).metadata).toEqual(
    entries.map(({ name, ...rest }) => ({ family: name, ...rest })),
  );
});
