/** Hash flooding: what a whole page of label values that were chosen to collide costs, counted in probes of all tables. */

import { describe, expect, test } from "vitest";
import { floods, pageOf, seriesOf, usualValues } from "../../../test/support/flooded-page.ts";
import { propertyRuns } from "../../../test/support/property-runs.ts";
import { createPageReader } from "../../../test/support/read-target-page.ts";
import { createTextParser } from "../../codec/exposition/parser.ts";
import { buildEntryIndex, meanProbes } from "../../kernels/entry-slots.ts";
import { hashLine, processLineKey } from "../../kernels/hash-line.ts";
import { metricsBatch } from "../../model/batch.ts";
import type { Identities } from "../../model/identities.ts";
import { RequestEncoder } from "../remote-write/encode-request.ts";
import { createRemoteWriteTranslator } from "../translation/remote-write-translator.ts";
import { type PageContent, pageSegment } from "./page-content.ts";

const count = propertyRuns(4000);

/** A page on the whole way: read, read again in another order, learnt for OTLP, translated and encoded for remote write. */
function readWhole(page: Buffer, other: Buffer, options: Parameters<typeof createPageReader>[0] = {}) {
  const reader = createPageReader({ hasNoRules: true, ...options });
  const read = (bytes: Buffer): PageContent => reader.page.read(bytes, bytes.length, createTextParser(bytes), false);
  const { identities } = reader;
  const content = read(page);
  reader.page.origin.learn(content.layout);
  const segments = [content, read(other)].map((one) => pageSegment(one, 1_700_000_000_000, true));
  const encoder = new RequestEncoder(identities, 10_000);
  const translator = createRemoteWriteTranslator(translation, identities);
  for (const segment of [...segments, ...segments]) {
    for (const one of [segment, ...translator.translate(metricsBatch([segment])).batch.segments]) {
      encoder.begin();
      encoder.add(one, { samples: 10_000, bytes: 100_000_000 }, []);
      encoder.finish();
    }
  }
  return { identities, content };
}

const translation = {
  namespace: "",
  externalLabels: {},
  translationStrategy: "",
  addMetricSuffixes: true,
  disableScopeInfo: false,
  resourceToTelemetry: { enabled: false, excludeServiceAttributes: false },
  targetInfo: true,
} as const;

/** Probes to find once what the tables hold of a page, by table. */
function probes(
  { labelPairs, labelSets, attributePairs, attributeSets, texts, series }: Identities,
  values: readonly string[],
) {
  const tables = { labelPairs, labelSets, attributePairs, attributeSets, texts, series };
  const counts = Object.entries(tables).map(([name, table]) => [name, table.size * table.meanProbes] as const);
  return new Map([...counts, ["lines", lineProbes(values)]]);
}

/** The same for the index of the page's lines, by each half of their hashes. */
function lineProbes(values: readonly string[]): number {
  const hashes = new Uint32Array(values.length * 2);
  for (const [i, value] of values.entries()) {
    const bytes = new Uint8Array(Buffer.from(seriesOf(value)));
    hashLine(processLineKey, bytes, new DataView(bytes.buffer), 0, bytes.length, hashes, i * 2);
  }
  return values.length * meanProbes(hashes, buildEntryIndex({ hashes }));
}

const sum = (counts: ReadonlyMap<string, number>) => [...counts.values()].reduce((a, b) => a + b, 0);

describe("a page of label values that collide under", () => {
  test.each(floods(count))("$hash takes at most three times the probes of a usual one", ({ values }) => {
    const usual = usualValues(values);
    expect([new Set(values).size, new Set(usual).size]).toEqual([count, count]);
    const work = (list: readonly string[]) => {
      const { identities, content } = readWhole(pageOf(list), pageOf(list.toReversed()));
      expect(content.samples).toBe(count);
      return probes(identities, list);
    };
    const [normal, flooded] = [work(usual), work(values)];
    expect(sum(normal)).toBeGreaterThan(5 * count);
    expect(sum(flooded)).toBeLessThan(3 * sum(normal));
    for (const [table, probed] of flooded) {
      expect({ table, isFlooded: probed > 3 * (normal.get(table) ?? 0) }).toEqual({ table, isFlooded: false });
    }
  });
});

/** Runs `work` and returns the keys that it looks for in any Map or Set. */
function keysAskedFor(work: () => void): unknown[] {
  const asked: unknown[] = [];
  const undo: (() => void)[] = [];
  const watch = (prototype: object, name: string) => {
    const real = Reflect.get(prototype, name) as (...args: unknown[]) => unknown;
    const watched = function (this: unknown, ...args: unknown[]): unknown {
      asked.push(args[0]);
      return Reflect.apply(real, this, args);
    };
    Object.defineProperty(prototype, name, { value: watched });
    undo.push(() => Object.defineProperty(prototype, name, { value: real }));
  };
  for (const name of ["get", "set", "has"]) watch(Map.prototype, name);
  for (const name of ["add", "has"]) watch(Set.prototype, name);
  try {
    work();
  } finally {
    for (const restore of undo) restore();
  }
  return asked;
}

describe("whatever the runtime's hash of texts is", () => {
  test.each([
    { what: "without rules", options: {} },
    { what: "with a rule", options: { hasNoRules: false } },
  ])("no value of a page is the key of a Map or Set, $what", ({ options }) => {
    const numbers = Array.from({ length: 40 }, (_, i) => `${1e9 + i * 65_536}`);
    const [page, other] = [pageOf(numbers, numbers), pageOf(numbers.toReversed(), numbers)];
    const asked = new Set(keysAskedFor(() => void readWhole(page, other, options)));
    expect(asked.size).toBeGreaterThan(0);
    expect(numbers.filter((number) => asked.has(number))).toEqual([]);
  });
});
