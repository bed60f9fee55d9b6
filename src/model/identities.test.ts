/** Label pairs, label sets and series by number; and the sweep, which frees what nobody names and nothing else. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readWriteRequest } from "../../test/kit/remote-write-message.ts";
import { propertyRuns } from "../../test/support/property-runs.ts";
import type { Attributes, AttributeValue } from "./attributes.ts";
import { Identities, type Label } from "./identities.ts";
import { none } from "./intern-table.ts";
import { type Origin, PointsLayout, SamplesLayout } from "./layout.ts";
import type { Series } from "./series.ts";

const origin = { lane: 0 } as Origin;

describe("labels", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 20 }),
    fc.nat({ max: 20_000 }).map((length) => "\u20ac".repeat(length / 3) + "x".repeat(length % 3)),
    fc.constantFrom(
      "",
      "x".repeat(121),
      "x".repeat(122),
      "x".repeat(127),
      "x".repeat(128),
      "x".repeat(16_383),
      "x".repeat(16_384),
    ),
  );

  test("pairs come back as they were, whatever their length", () => {
    const identities = new Identities();
    fc.assert(
      fc.property(text, text, (name, value) => {
        const id = identities.internLabelPair(name, value);
        expect(identities.labelPair(id)).toEqual([name, value]);
        expect(identities.internLabelPair(name, value)).toBe(id);
      }),
      { numRuns: propertyRuns(500) },
    );
  });

  test("pairs are kept as a remote-write field", () => {
    const identities = new Identities();
    for (const [name, value] of [
      ["a", "b"],
      ["", ""],
      ["n".repeat(200), "\u00e4".repeat(9000)],
    ] as const) {
      const pair = identities.labelPairs.view(identities.internLabelPair(name, value));
      const series = Buffer.concat([Buffer.of(0x0a), varint(pair.length), pair]);
      expect(readWriteRequest(snappyLiteral(series)).series[0]?.labels).toEqual([{ name, value }]);
    }
  });

  test("sets come back as they were; equal sets have one number; the weight is the bytes of the pairs", () => {
    const identities = new Identities();
    const label = fc.tuple(
      fc.string({ unit: "binary", minLength: 1, maxLength: 5 }),
      fc.string({ minLength: 1, maxLength: 5 }),
    );
    fc.assert(
      fc.property(fc.uniqueArray(label, { selector: ([name]) => name, maxLength: 100 }), (labels) => {
        const id = identities.internLabels(labels);
        expect(identities.labels(id)).toEqual(labels);
        expect(identities.internLabels(labels)).toBe(id);
        let weight = 0;
        for (const [name, value] of labels) {
          weight += identities.labelPairs.view(identities.internLabelPair(name, value)).length;
        }
        expect(identities.labelSets.weights[id]).toBe(weight);
      }),
      { numRuns: propertyRuns(200) },
    );
  });

  test("texts come back as they were", () => {
    const identities = new Identities();
    for (const each of ["", "+Inf", "\u00e4"]) expect(identities.text(identities.internText(each))).toBe(each);
  });
});

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}

/** Snappy with one literal: length, then tag 61 with a length of two bytes. */
function snappyLiteral(bytes: Buffer): Buffer {
  const size = bytes.length - 1;
  return Buffer.concat([varint(bytes.length), Buffer.of(61 << 2, size & 0xff, size >> 8), bytes]);
}

const attributeValue: fc.Arbitrary<AttributeValue> = fc.letrec<{ value: AttributeValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.string({ unit: "binary" }),
    fc.boolean(),
    fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
    fc.double(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 9 }),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.string(), tie("value"), { maxKeys: 3 }).map((record) => new Map(Object.entries(record))),
  ),
})).value;
const attributes: fc.Arbitrary<Attributes> = fc
  .uniqueArray(fc.tuple(fc.string({ maxLength: 6 }), attributeValue), { selector: ([name]) => name, maxLength: 4 })
  .map((pairs) => new Map(pairs));

const sortedAttributes = (map: Attributes): Attributes => new Map([...map].sort(([a], [b]) => (a < b ? -1 : 1)));

function seriesOf(own: Attributes, resource: Attributes, scope: Attributes): Series {
  return {
    resource: { attributes: resource, schemaUrl: "u", droppedAttributesCount: 1 },
    scope: { name: "s", version: "1", attributes: scope, schemaUrl: "", droppedAttributesCount: 0 },
    metric: {
      name: "m",
      description: "d",
      unit: "s",
      type: "sum",
      temporality: "cumulative",
      isMonotonic: true,
      metadata: new Map(),
    },
    attributes: own,
  };
}

test("series come back as they were, with attributes sorted by key; equal ones have one number", () => {
  const identities = new Identities();
  fc.assert(
    fc.property(attributes, attributes, attributes, (own, resource, scope) => {
      const series = seriesOf(own, resource, scope);
      const id = identities.internSeries(series);
      expect(identities.seriesView(id)).toEqual(
        seriesOf(sortedAttributes(own), sortedAttributes(resource), sortedAttributes(scope)),
      );
      const reversed = new Map([...own].reverse());
      expect(identities.internSeries(seriesOf(reversed, resource, scope))).toBe(id);
    }),
    { numRuns: propertyRuns(200) },
  );
});

const labelsOf = (n: number): Label[] => [
  ["__name__", `metric_${n}`],
  ["shared", String(n % 3)],
];

describe("the sweep", () => {
  test("frees nothing that a layout, a root or a known reading names, and all else", () => {
    const identities = new Identities();
    const sets = Array.from({ length: 100 }, (_, n) => identities.internLabels(labelsOf(n)));
    const family = (n: number) =>
      identities.internFamily({ name: `metric_${n}`, exposedName: `metric_${n}`, type: "gauge", help: "", unit: "" });
    const families = sets.map((_, n) => family(n));
    const series = Array.from({ length: 30 }, (_, n) =>
      identities.internSeries(seriesOf(new Map([["n", BigInt(n)]]), new Map([["r", String(n)]]), new Map([["s", n]]))),
    );
    const bounds = Array.from({ length: 30 }, (_, n) => identities.internText(`bound ${n}`));
    const keptLabels = sets.filter((_, n) => n % 10 === 0);
    const samples = new SamplesLayout(
      identities,
      { labels: Uint32Array.from(keptLabels), families: Uint32Array.from(families.filter((_, n) => n % 10 === 0)) },
      {
        lane: 0,
        read: () => ({
          series: Uint32Array.from(series.slice(0, 10)),
          part: new Uint8Array(10),
          bound: Uint32Array.from(bounds.slice(0, 10)),
        }),
        points: () => [],
      },
    );
    samples.reading();
    const points = new PointsLayout(identities, Uint32Array.from(series.slice(10, 20)), 0);
    const root = Uint32Array.from(sets.filter((_, n) => n % 10 === 5));
    identities.addRoots(() => [root]);
    expect(identities.sweep(true)).toBe(80 + 10);
    expect([identities.labelSets.size, identities.families.size, identities.series.size]).toEqual([20, 10, 20]);
    expect([identities.texts.size, identities.metrics.size]).toEqual([10, 1]);
    expect([identities.resources.size, identities.scopes.size]).toEqual([20, 20]);
    for (const [n, id] of sets.entries()) if (n % 5 === 0) expect(identities.labels(id)).toEqual(labelsOf(n));
    for (const id of samples.families) expect(identities.families.get(id).type).toBe("gauge");
    for (const n of Array(20).keys()) {
      expect(identities.seriesView(series[n] ?? none).attributes).toEqual(new Map([["n", BigInt(n)]]));
    }
    expect(identities.text(bounds[9] ?? none)).toBe("bound 9");
    expect(points.length).toBe(10);
  });

  test("gives freed numbers out again, and what lives keeps its own", () => {
    const identities = new Identities();
    const first = Array.from({ length: 50 }, (_, n) => identities.internLabels(labelsOf(n)));
    const root = Uint32Array.from(first.slice(0, 5));
    const removeRoots = identities.addRoots(() => [root]);
    identities.sweep(true);
    const second = Array.from({ length: 45 }, (_, n) => identities.internLabels(labelsOf(1000 + n)));
    expect(new Set([...second, ...root])).toEqual(new Set(first));
    for (const [n, id] of second.entries()) expect(identities.labels(id)).toEqual(labelsOf(1000 + n));
    for (const [n, id] of root.entries()) expect(identities.labels(id)).toEqual(labelsOf(n));
    expect(identities.internLabels(labelsOf(3))).toBe(first[3]);
    removeRoots();
    expect(identities.sweep(true)).toBe(50);
    expect([identities.labelSets.size, identities.labelPairs.size]).toEqual([0, 0]);
  });

  test("tells listeners only when numbers were given back, and not those that were removed", () => {
    const identities = new Identities();
    const layout = new SamplesLayout(
      identities,
      { labels: Uint32Array.of(identities.internLabels(labelsOf(1))) },
      origin,
    );
    let calls = 0;
    const remove = identities.onSweep(() => calls++);
    identities.sweep(true);
    expect(calls).toBe(0);
    identities.internLabels(labelsOf(2));
    identities.sweep(true);
    expect([calls, layout.length]).toEqual([1, 1]);
    remove();
    identities.internLabels(labelsOf(3));
    identities.sweep(true);
    expect(calls).toBe(1);
  });

  test("waits until the tables have grown, unless it is forced", () => {
    const identities = new Identities();
    for (let n = 0; n < 4000; n++) identities.internLabels(labelsOf(n));
    expect([identities.sweep(), identities.labelSets.size]).toEqual([0, 4000]);
    for (let n = 4000; n < 4200; n++) identities.internLabels(labelsOf(n));
    expect([identities.sweep(), identities.labelSets.size]).toEqual([4200, 0]);
  });

  test("random lives: what is rooted reads the same after every sweep", () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.nat({ max: 60 }), { maxLength: 20 }), { maxLength: 8 }), (rounds) => {
        const identities = new Identities();
        const live = new Map<number, number>();
        identities.addRoots(() => [Uint32Array.from(live.values())]);
        for (const round of rounds) {
          for (const n of round) {
            const id = identities.internLabels(labelsOf(n));
            if (live.has(n)) expect(id).toBe(live.get(n));
            if (n % 4 === 0) live.delete(n);
            else live.set(n, id);
          }
          identities.sweep(true);
          expect(identities.labelSets.size).toBe(live.size);
          for (const [n, id] of live) expect(identities.labels(id)).toEqual(labelsOf(n));
        }
      }),
      { numRuns: propertyRuns(100) },
    );
  });
});
