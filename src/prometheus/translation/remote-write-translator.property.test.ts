/** The way of scraped rows straight to remote write equals the long way through OTLP points. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { propertyRuns } from "../../../test/support/property-runs.ts";
import type { SamplesSegment } from "../../model/batch.ts";
import { sliceSamples } from "../../model/batch.ts";
import { createRemoteWriteTranslator, type RemoteWriteTranslatorOptions } from "./remote-write-translator.ts";
import { describeRows, member, type PageRow, testOrigin, testSegment } from "./test-page.ts";

const labelNames = ["a", "b", "le", "quantile", "otel_scope_name", "otel_scope_k", "my.label", "_x", "job"];
const labelsArbitrary = fc.dictionary(fc.constantFrom(...labelNames), fc.constantFrom("", "1", "x", "0.5"), {
  maxKeys: 3,
});
const boundArbitrary = fc.constantFrom(
  "0.005",
  "1.0",
  "2.5",
  "10",
  "1e+06",
  "1e-07",
  "-3.5",
  "100000000000000000000000",
);
const countArbitrary = fc.oneof(fc.nat({ max: 1000 }), fc.constantFrom(2 ** 53, 2 ** 60), fc.constantFrom(0.5, 1.75));
/** Counts that nobody can have counted, too. */
const brokenArbitrary = fc.oneof(
  { weight: 4, arbitrary: countArbitrary },
  fc.constantFrom(-3, -0.5, Number.NaN, Number.POSITIVE_INFINITY, 1e30, -1e30),
);
const valueArbitrary = fc.oneof(fc.double(), fc.integer());

const without = (labels: Record<string, string>, name: string) =>
  Object.fromEntries(Object.entries(labels).filter(([key]) => key !== name));

const histogramArbitrary = (family: string, counts: fc.Arbitrary<number>) =>
  fc
    .record({
      labels: labelsArbitrary,
      bounds: fc.uniqueArray(boundArbitrary, { maxLength: 5 }),
      steps: fc.array(counts, { minLength: 6, maxLength: 6 }),
      sum: fc.option(valueArbitrary),
      hasInfinity: fc.boolean(),
      created: fc.boolean(),
    })
    .map(({ labels, bounds, steps, sum, hasInfinity, created }) => {
      const own = without(labels, "le");
      let total = 0;
      const sorted = [...bounds].sort((a, b) => Number(a) - Number(b));
      const rows = sorted.map((le, i) => {
        total += steps[i] as number;
        return member(family, "histogram", "_bucket", { ...own, le }, total);
      });
      total += steps[5] as number;
      if (hasInfinity) rows.push(member(family, "histogram", "_bucket", { ...own, le: "+Inf" }, total));
      if (sum !== null) rows.push(member(family, "histogram", "_sum", own, sum));
      rows.push(member(family, "histogram", "_count", own, total));
      if (created) rows.push(member(family, "histogram", "_created", own, 1_600_000_000.25));
      return rows;
    });

const summaryArbitrary = (family: string, counts: fc.Arbitrary<number>) =>
  fc
    .record({
      labels: labelsArbitrary,
      quantiles: fc.uniqueArray(fc.constantFrom("0", "0.5", "0.99", "1"), { maxLength: 3 }),
      values: fc.array(valueArbitrary, { minLength: 4, maxLength: 4 }),
      count: counts,
      hasSum: fc.boolean(),
    })
    .map(({ labels, quantiles, values, count, hasSum }) => {
      const own = without(labels, "quantile");
      const rows = quantiles.map((quantile, i) =>
        member(family, "summary", "", { ...own, quantile }, values[i] as number),
      );
      if (hasSum) rows.push(member(family, "summary", "_sum", own, values[3] as number));
      return [...rows, member(family, "summary", "_count", own, count)];
    });

const numberArbitrary = (family: string, type: "counter" | "gauge" | "info" | "unknown", suffix: string) =>
  fc
    .record({ labels: labelsArbitrary, value: valueArbitrary })
    .map(({ labels, value }) => [member(family, type, suffix, labels, value)]);

const exemplarArbitrary = fc.record({
  labels: fc.subarray<readonly [string, string]>([
    ["trace_id", "0123456789abcdef0123456789abcdef"],
    ["Span_ID", "00000000000000ff"],
    ["user", "x".repeat(60)],
    ["path", "y".repeat(70)],
  ]),
  value: fc.constantFrom(-4, 0.004, 2.5, 1e9),
  timestampMs: fc.constantFrom(undefined, 1_600_000_000_001),
});

const pageArbitrary = (counts: fc.Arbitrary<number>) =>
  fc
    .array(
      fc.oneof(
        histogramArbitrary("h_seconds", counts),
        histogramArbitrary("other.name", counts),
        summaryArbitrary("s", counts),
        numberArbitrary("c", "counter", "_total"),
        numberArbitrary("plain", "counter", ""),
        numberArbitrary("plain", "counter", "_count"),
        numberArbitrary("g", "gauge", ""),
        numberArbitrary("g", "gauge", "_sum"),
        numberArbitrary("build", "info", "_info"),
        numberArbitrary("9u", "unknown", ""),
        numberArbitrary("target", "info", "_info"),
      ),
      { maxLength: 8 },
    )
    .map((groups) => {
      // A page names each series once; parts of two histograms that share labels would be parts of one.
      const seen = new Set<string>();
      return groups.filter((rows) => {
        const first = rows[0] as PageRow;
        const { le, quantile, ...labels } = first.labels ?? {};
        const key = JSON.stringify([
          first.family?.name,
          Object.entries(labels)
            .filter(([, v]) => v !== "")
            .sort(),
        ]);
        return !seen.has(key) && seen.add(key) !== undefined;
      });
    })
    .chain((groups) => {
      const rows = groups.flat();
      return fc
        .array(fc.option(exemplarArbitrary, { freq: 3 }), { minLength: rows.length, maxLength: rows.length })
        .map((exemplars) => rows.map((row, i) => ({ ...row, exemplar: exemplars[i] ?? undefined })));
    });

const optionsArbitrary: fc.Arbitrary<RemoteWriteTranslatorOptions> = fc.record({
  namespace: fc.constantFrom("", "ns"),
  externalLabels: fc.constantFrom<Record<string, string>>({}, { a: "external", zone: "z" }),
  translationStrategy: fc.constantFrom(
    "" as const,
    "UnderscoreEscapingWithoutSuffixes" as const,
    "NoUTF8EscapingWithSuffixes" as const,
    "NoTranslation" as const,
  ),
  addMetricSuffixes: fc.boolean(),
  disableScopeInfo: fc.boolean(),
  resourceToTelemetry: fc.record({ enabled: fc.boolean(), excludeServiceAttributes: fc.boolean() }),
  targetInfo: fc.boolean(),
});

function bothWays(segment: SamplesSegment, options: RemoteWriteTranslatorOptions) {
  const { identities, origin } = segment.layout;
  const translator = createRemoteWriteTranslator(options, identities);
  const fast = translator.translate({ signal: "metrics", segments: [segment] });
  const long = translator.translate({ signal: "metrics", segments: origin.points(segment) });
  return { fast: describeRows(fast.batch.segments), long: describeRows(long.batch.segments) };
}

describe("properties", () => {
  it("gives the same samples by the short way and through points", () => {
    fc.assert(
      fc.property(pageArbitrary(brokenArbitrary), optionsArbitrary, (rows, options) => {
        const { fast, long } = bothWays(testSegment(rows), options);
        expect([...fast].sort()).toEqual([...long].sort());
        const keys = fast.map((row) => row.slice(0, row.indexOf("}")));
        expect(new Set(keys).size).toBe(keys.length);
      }),
      { numRuns: propertyRuns(1000) },
    );
  });

  it("marks the same series stale by both ways", () => {
    fc.assert(
      fc.property(pageArbitrary(brokenArbitrary), optionsArbitrary, (rows, options) => {
        const whole = rows.every((row) => row.family?.type !== "histogram" || hasSum(rows, row));
        fc.pre(whole);
        const segment = { ...testSegment(rows), stale: true };
        const { fast, long } = bothWays(segment, options);
        expect([...fast].sort()).toEqual([...long].sort());
      }),
      { numRuns: propertyRuns(200) },
    );
  });

  it("gives the same samples for a page in parts as for the whole page", () => {
    fc.assert(
      fc.property(pageArbitrary(countArbitrary), optionsArbitrary, fc.nat({ max: 30 }), (page, options, cut) => {
        // An exemplar finds no bucket beyond the cut; fractions and lost digits of a count depend on the bucket before.
        const whole53 = (value = 0) => Math.min(Math.trunc(value), 2 ** 52);
        const rows = page.map((row) => ({ ...row, value: whole53(row.value), exemplar: undefined }));
        const segment = testSegment(rows, testOrigin());
        const translator = createRemoteWriteTranslator({ ...options, targetInfo: false }, segment.layout.identities);
        const at = Math.min(cut, rows.length);
        const parts = [sliceSamples(segment, 0, at), sliceSamples(segment, at, rows.length)];
        const whole = translator.translate({ signal: "metrics", segments: [segment] });
        const cutUp = translator.translate({ signal: "metrics", segments: parts });
        expect(describeRows(cutUp.batch.segments)).toEqual(describeRows(whole.batch.segments));
      }),
      { numRuns: propertyRuns(200) },
    );
  });
});

function hasSum(rows: readonly PageRow[], row: PageRow): boolean {
  const { le, ...own } = row.labels ?? {};
  const key = JSON.stringify(own);
  return rows.some((other) => {
    const { le: _, ...labels } = other.labels ?? {};
    return other.name.endsWith("_sum") && other.family?.name === row.family?.name && JSON.stringify(labels) === key;
  });
}
