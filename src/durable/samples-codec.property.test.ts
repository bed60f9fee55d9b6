import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SamplesSegment } from "../model/batch.ts";
import { Identities, type Label } from "../model/identities.ts";
import { none } from "../model/intern-table.ts";
import { type Origin, SamplesLayout } from "../model/layout.ts";
import type { FamilyType } from "../model/series.ts";
import { RequestCodec } from "./request-codec.ts";
import { SamplesCodec } from "./samples-codec.ts";

const origin = (lane: number) => ({ lane }) as Origin;
const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 });
const family = fc.record({
  name: text,
  exposedName: text,
  type: fc.constantFrom<FamilyType>(
    "counter",
    "gauge",
    "histogram",
    "gaugehistogram",
    "summary",
    "info",
    "stateset",
    "unknown",
  ),
  help: fc.string(),
  unit: fc.string(),
});
const row = fc.record({
  labels: fc.uniqueArray(fc.tuple(text, text), { selector: ([name]) => name, maxLength: 6 }),
  family: fc.option(family, { nil: undefined }),
  value: fc.oneof(fc.double(), fc.constant(-0), fc.integer()),
  isStale: fc.boolean(),
  time: fc.oneof(fc.integer({ min: -10_000, max: 2_000_000_000_000 }), fc.double({ noNaN: true })),
});
const exemplar = fc.record({
  row: fc.nat({ max: 20 }),
  labels: fc.array(fc.tuple(fc.string(), fc.string()), { maxLength: 3 }),
  value: fc.double(),
  timestampMs: fc.option(fc.double({ noNaN: true }), { nil: undefined }),
});
const input = fc.record({
  rows: fc.array(row, { maxLength: 20 }),
  from: fc.nat({ max: 20 }),
  to: fc.nat({ max: 20 }),
  stale: fc.constantFrom("none", "all", "some"),
  timestampMs: fc.oneof(fc.integer({ min: 0, max: 2_000_000_000_000 }), fc.double({ noNaN: true })),
  times: fc.constantFrom("one", "each", "whole"),
  exemplars: fc.option(fc.array(exemplar, { maxLength: 4 }), { nil: undefined }),
  histogram: fc.option(fc.uint8Array({ maxLength: 200 }), { nil: undefined }),
});
type Input = typeof input extends fc.Arbitrary<infer T> ? T : never;

function segmentOf({ rows, from: a, to: b, stale, timestampMs, times, exemplars, histogram }: Input): SamplesSegment {
  const identities = new Identities();
  const bytewise = ([x]: Label, [y]: Label) => Buffer.compare(Buffer.from(x), Buffer.from(y));
  const labels = Uint32Array.from(rows, (one) =>
    one.labels.length === 0 ? none : identities.internLabels([...one.labels].sort(bytewise)),
  );
  const families = Uint32Array.from(rows, (one) =>
    one.family === undefined ? none : identities.internFamily(one.family),
  );
  const from = Math.min(a, b, rows.length);
  const to = Math.min(Math.max(a, b), rows.length);
  const part = rows.slice(from, to);
  return {
    form: "samples",
    layout: new SamplesLayout(identities, { labels, families }, origin(3)),
    from,
    to,
    values: Float64Array.from(part, ({ value }) => value),
    stale: stale === "some" ? Uint8Array.from(part, ({ isStale }) => (isStale ? 1 : 0)) : stale === "all",
    timestampMs,
    timestampsMs:
      times === "one"
        ? undefined
        : Float64Array.from(part, ({ time }) => (times === "whole" ? Math.trunc(time) + 0 : time)),
    histograms: histogram === undefined ? undefined : part.map((_, i) => histogram.slice(i)),
    exemplars: exemplars?.length === 0 ? undefined : (exemplars as SamplesSegment["exemplars"]),
  };
}

/** What a segment says, without numbers of identities. */
function view(segment: SamplesSegment) {
  const { layout, values, stale } = segment;
  const { identities } = layout;
  return {
    ...segment,
    layout: undefined,
    values:
      stale === true ? values.length : Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("hex"),
    rows: Array.from({ length: layout.length }, (_, i) => {
      const set = layout.labels?.[i] ?? none;
      const familyId = layout.families[i] ?? none;
      return {
        labels: set === none ? [] : identities.labels(set),
        weight: set === none ? 0 : identities.labelSets.weights[set],
        family: familyId === none ? undefined : identities.families.get(familyId),
      };
    }),
  };
}

async function roundTrip(codec: SamplesCodec, reader: SamplesCodec, segment: SamplesSegment) {
  const definitions = new Map<string, Uint8Array>();
  const { kind, items, parts } = codec.encode(segment, (name, content) => definitions.set(name, content()));
  const payload = Buffer.concat(parts);
  const decoded = await reader.decode(kind, payload, async (name) => definitions.get(name), 3);
  return { decoded, items, payload, definitions };
}

describe("samples on disk", () => {
  test("come back as they were, in a process that knows nothing of them", async () => {
    await fc.assert(
      fc.asyncProperty(input, async (one) => {
        const segment = segmentOf(one);
        const codec = new SamplesCodec(segment.layout.identities, origin);
        const { decoded, items } = await roundTrip(codec, new SamplesCodec(new Identities(), origin), segment);
        expect(items).toBe(segment.to - segment.from);
        expect(view(decoded)).toEqual(view(segment));
        expect(decoded.layout.origin.lane).toBe(3);
      }),
    );
  });

  test("bytes that are cut or changed are a DecodeError or another segment, never another fault", async () => {
    await fc.assert(
      fc.asyncProperty(input, fc.nat(), fc.nat({ max: 255 }), async (one, at, byte) => {
        const segment = segmentOf(one);
        const codec = new SamplesCodec(segment.layout.identities, origin);
        const { payload, definitions } = await roundTrip(codec, codec, segment);
        const changed = Buffer.from(payload);
        changed[at % changed.length] = byte;
        const other = new SamplesCodec(new Identities(), origin);
        for (const bytes of [changed, payload.subarray(0, at % payload.length)]) {
          const find = async (name: string) => definitions.get(name);
          await other.decode(1, bytes, find, 3).catch((error: unknown) => {
            expect(error).toMatchObject({ code: "DECODE_INVALID" });
          });
        }
      }),
    );
  });

  test("a layout that is still alive is used again", async () => {
    const segment = segmentOf({
      rows: [],
      from: 0,
      to: 0,
      stale: "none",
      timestampMs: 1,
      times: "one",
      exemplars: undefined,
      histogram: undefined,
    });
    const codec = new SamplesCodec(segment.layout.identities, origin);
    expect((await roundTrip(codec, codec, segment)).decoded.layout).toBe(segment.layout);
  });

  test("a sample takes eight bytes, its time none where all have the same", () => {
    const identities = new Identities();
    const labels = Uint32Array.from({ length: 5000 }, (_, i) => identities.internLabels([["__name__", `m${i}`]]));
    const layout = new SamplesLayout(identities, { labels }, origin(0));
    const segment: SamplesSegment = {
      form: "samples",
      layout,
      from: 0,
      to: 5000,
      values: new Float64Array(5000),
      stale: false,
      timestampMs: 1_700_000_000_000,
    };
    const { parts } = new SamplesCodec(identities, origin).encode(segment, () => {});
    expect(Buffer.concat(parts).length).toBe(40 + 5000 * 8);
  });
});

describe("requests on disk", () => {
  test("come back as they were", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("metrics" as const, "traces" as const, "logs" as const),
        fc.uint8Array({ maxLength: 3000 }),
        fc.nat(),
        async (signal, bytes, items) => {
          const codec = new RequestCodec();
          const encoded = codec.encode({ signal, bytes, items });
          expect(encoded.items).toBe(items);
          expect(await codec.decode(encoded.kind, Buffer.concat(encoded.parts))).toEqual({ signal, bytes, items });
        },
      ),
    );
  });

  test("what repeats itself is compressed", () => {
    const { parts } = new RequestCodec().encode({ signal: "metrics", bytes: new Uint8Array(10_000), items: 1 });
    expect(Buffer.concat(parts).length).toBeLessThan(100);
  });
});
