/** Requests of a known shape pass a processor unopened, and come out as if they had been opened. */

import { describe, expect, test, vi } from "vitest";
import { normalPoints } from "../../test/kit/otlp-normal.ts";
import { decodeOtlp, encodeOtlp } from "../../test/kit/otlp-proto.ts";
import { MetricsDecoder } from "../codec/otlp/decode-metrics.ts";
import { MetricsEncoder } from "../codec/otlp/encode-metrics.ts";
import { metricsSegment } from "../codec/otlp/metrics-segment.ts";
import { type MetricsBatch, metricsBatch, type OpenSegment, openSegments } from "../model/batch.ts";
import { Identities } from "../model/identities.ts";
import type { Series } from "../model/series.ts";
import { mapSeries, type SeriesFunction } from "./map-series.ts";
import { type MapPoints, MappedShapes, ShapeEdits } from "./map-shapes.ts";

const addYes: SeriesFunction = (series) => ({
  ...series,
  attributes: new Map([...series.attributes, ["added", "yes"]]),
});
const dropFirst: SeriesFunction = (series) => (series.attributes.get("p") === "0" ? undefined : series);
const dropAll: SeriesFunction = () => undefined;
const rename: SeriesFunction = (series: Series) => ({ ...series, metric: { ...series.metric, name: "other.name" } });

const attributes = (p: number) => [{ key: "p", value: { stringValue: String(p) } }];

function request(round: number): Uint8Array {
  const time = { startTimeUnixNano: "3", timeUnixNano: String(1_000_000 + round) };
  const numbers = [0, 1, 2].map((p) => ({ ...time, asDouble: round + p / 4, attributes: attributes(p) }));
  const integers = [0, 1].map((p) => ({ ...time, asInt: String(round + p), attributes: attributes(p) }));
  const histograms = [0, 1].map((p) => ({
    ...time,
    count: String(round + 3),
    sum: round * 1.5,
    bucketCounts: [String(round + 1), "2"],
    explicitBounds: [round + 0.5],
    attributes: attributes(p),
    exemplars: [
      { timeUnixNano: String(round + 7), asDouble: round + 0.25, traceId: Buffer.alloc(16, round).toString("base64") },
    ],
  }));
  const metrics = [
    { name: "g", gauge: { dataPoints: numbers } },
    { name: "h", histogram: { aggregationTemporality: 2, dataPoints: histograms } },
    { name: "s", sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints: integers } },
  ];
  return encodeOtlp("metrics", {
    resourceMetrics: [{ resource: { attributes: attributes(9) }, scopeMetrics: [{ metrics }] }],
  });
}

function createKit(edits: readonly SeriesFunction[]) {
  const decoder = new MetricsDecoder(new Identities());
  let dropped = 0;
  const addDropped = (rows: number) => {
    dropped += rows;
  };
  const steps = edits.map((edit) => mapSeries(edit, { dropped: addDropped }));
  const run = async (batch: MetricsBatch): Promise<MetricsBatch> => {
    let current = batch;
    for (const step of steps) {
      let handedOn = metricsBatch([]) as MetricsBatch;
      await step(current, {
        metrics: (result) => {
          handedOn = result;
          return Promise.resolve();
        },
      });
      current = handedOn;
    }
    return current;
  };
  return {
    /** With its shape where that is known by now. */
    send: (bytes: Uint8Array) => {
      const { request: opened, shape } = decoder.open(bytes);
      return run(metricsBatch([metricsSegment(opened, decoder, shape)]));
    },
    sendOpened: (bytes: Uint8Array) => run(metricsBatch(decoder.decode(bytes))),
    takeDropped: () => {
      const rows = dropped;
      dropped = 0;
      return rows;
    },
  };
}

const same: MapPoints = (segment) => ({ segment, dropped: 0 });

/** A decoder that knows the shape of the requests. */
function learnt(round: number) {
  const decoder = new MetricsDecoder(new Identities());
  decoder.decode(request(round));
  decoder.open(request(round));
  const { shape } = decoder.open(request(round + 1));
  if (shape === undefined) throw new Error("the shape is not known");
  return { decoder, shape };
}

const encoder = new MetricsEncoder();
const points = (batch: MetricsBatch) => normalPoints(decodeOtlp("metrics", encoder.encode(batch.segments).bytes));
const forms = (batch: MetricsBatch) => batch.segments.map(({ form }) => form);

describe("a mapping of requests whose shape is known", () => {
  test.each<[string, SeriesFunction[]]>([
    ["adds an attribute", [addYes]],
    ["drops points", [dropFirst]],
    ["renames a metric", [rename]],
    ["follows another mapping", [addYes, dropFirst, rename]],
  ])("%s", async (_title, edits) => {
    const kit = createKit(edits);
    for (let round = 1; round < 8; round++) {
      const expected = points(await kit.sendOpened(request(round)));
      const droppedOpened = kit.takeDropped();
      const result = await kit.send(request(round));
      expect(kit.takeDropped()).toBe(droppedOpened);
      expect(points(result)).toEqual(expected);
      // The receiver knows the shape at the second request, and each mapping learns at the second that it sees unopened.
      if (round > 1 + edits.length) expect(forms(result)).toEqual(["otlp"]);
      const [segment] = result.segments;
      if (segment?.form === "otlp")
        expect([segment.to, segment.request.items]).toEqual([expected.length, expected.length]);
      const opened: readonly OpenSegment[] = openSegments(result);
      expect(points(metricsBatch(opened))).toEqual(expected);
    }
  });

  test("does not hold the request that came, once the edited one is made", () => {
    const { decoder, shape } = learnt(1);
    const open = vi.fn();
    const shapes = new MappedShapes();
    const source = metricsSegment({ signal: "metrics", bytes: request(7), items: shape.items }, decoder, shape);
    const edited = () => shapes.map({ ...source, open }, same)?.segment;
    expect(edited()).toBeUndefined();
    const segment = edited();
    expect(normalPoints(decodeOtlp("metrics", segment?.request.bytes ?? Buffer.alloc(0)))).toEqual(
      normalPoints(decodeOtlp("metrics", request(7))),
    );
    expect(segment?.open().map(({ to }) => to)).toEqual(source.open().map(({ to }) => to));
    expect(open).not.toHaveBeenCalled();
  });

  test("keeps what was given back below a bound, and no longer than its edit", () => {
    const { decoder, shape } = learnt(1);
    const sizeBytes = shape.bytes.length;
    const editBytes = sizeBytes + shape.words.byteLength * 2;
    const maxBytes = editBytes * 6;
    const edits = new ShapeEdits(maxBytes);
    const shapes = new MappedShapes(edits);
    const lend = (round: number) => {
      const source = metricsSegment({ signal: "metrics", bytes: request(round), items: shape.items }, decoder, shape);
      return shapes.map(source, same)?.segment?.lend?.();
    };
    lend(0);
    const rounds = Array.from({ length: 20 }, (_, i) => i + 1);
    const lent = rounds.map(lend);
    const bytesOf = (index: number) => lent[index]?.request.bytes ?? Buffer.alloc(0);
    const expectRound = (index: number, round: number) =>
      expect(normalPoints(decodeOtlp("metrics", bytesOf(index)))).toEqual(
        normalPoints(decodeOtlp("metrics", request(round))),
      );
    for (const round of rounds) expectRound(round - 1, round);
    for (const one of lent) one?.giveBack();
    const kept = Math.floor(maxBytes / 2 / bytesOf(0).length);
    expect(kept).toBeLessThan(rounds.length);
    expect(edits.spareByteLength).toBe(kept * bytesOf(0).length);
    expect(lend(30)?.request.bytes).toBe(bytesOf(kept - 1));
    expectRound(kept - 1, 30);
    expect(edits.spareByteLength).toBe((kept - 1) * bytesOf(0).length);
    // Another edit takes the room of one that nobody uses.
    const others = Array.from({ length: 8 }, () => ({ ...learnt(1), shapes: new MappedShapes(edits) }));
    for (let round = 0; round < 60; round++) {
      for (const other of others) {
        const bytes = request(round);
        const source = metricsSegment({ signal: "metrics", bytes, items: shape.items }, other.decoder, other.shape);
        other.shapes.map(source, same);
      }
    }
    expect(edits.spareByteLength).toBe(0);
    lent[2]?.giveBack();
    expect(edits.spareByteLength).toBe(0);
  });

  test("lends nothing of its own once the request is made", () => {
    const { decoder, shape } = learnt(1);
    const shapes = new MappedShapes();
    const source = metricsSegment({ signal: "metrics", bytes: request(7), items: shape.items }, decoder, shape);
    shapes.map(source, same);
    const segment = shapes.map(source, same)?.segment;
    expect(segment?.lend?.()?.request.bytes).toEqual(segment?.request.bytes);
    expect(segment?.lend?.()).toBeUndefined();
  });

  test("keeps its edits below one bound, for whatever number of clients", () => {
    const one = learnt(1);
    const maxBytes = 10 * (one.shape.bytes.length + one.shape.words.byteLength * 2);
    const edits = new ShapeEdits(maxBytes);
    const known = Array.from({ length: 30 }, () => ({ ...learnt(1), shapes: new MappedShapes(edits) }));
    const passes = ({ decoder, shape, shapes }: (typeof known)[number]) => {
      const bytes = request(9);
      const segment = metricsSegment({ signal: "metrics", bytes, items: shape.items }, decoder, shape);
      return shapes.map(segment, same) !== undefined;
    };
    for (let round = 0; round < 10; round++) for (const client of known) passes(client);
    expect(edits.byteLength).toBeLessThanOrEqual(maxBytes);
    const passing = known.filter(passes).length;
    expect(passing).toBeGreaterThan(3);
    expect(passing).toBeLessThan(15);
    // Who stays gets the room of those that are gone.
    const [first] = known;
    if (first !== undefined) for (let round = 0; round < 200; round++) passes(first);
    expect(first !== undefined && passes(first)).toBe(true);
    expect(edits.byteLength).toBeLessThanOrEqual(maxBytes);
  });

  test("hands nothing on when it drops everything", async () => {
    const kit = createKit([dropAll]);
    for (let round = 1; round < 5; round++) {
      expect((await kit.send(request(round))).segments).toEqual([]);
      expect(kit.takeDropped()).toBe(7);
    }
  });
});
