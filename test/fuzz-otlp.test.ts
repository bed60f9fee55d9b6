/** Truncated, mutated and random requests: refused with a DecodeError or taken whole, and nothing that follows falls over them. */

import { describe, expect, test } from "vitest";
import { mutateRequest, RequestDriver, randomOf, readCorpus } from "./support/otlp-fuzz.ts";
import { propertyRuns } from "./support/property-runs.ts";

const mutations = propertyRuns(20_000);
const seeds = readCorpus();

describe("the corpus", () => {
  test.each(seeds.map((seed) => [seed.name, seed] as const))("%s as it is", (_name, { signal, bytes, isJson }) => {
    new RequestDriver().drive(signal, bytes, isJson);
  });

  test("has whole requests of every signal in both encodings", () => {
    const driver = new RequestDriver();
    for (const name of ["metrics", "traces", "logs"].flatMap((signal) => [`${signal}.bin`, `${signal}.json`])) {
      const seed = seeds.find((one) => one.name === name);
      if (seed !== undefined) driver.drive(seed.signal, seed.bytes, seed.isJson);
    }
    expect([driver.taken, driver.opened]).toEqual([6, 6]);
  });
});

test(`${mutations} mutations break nothing`, () => {
  const driver = new RequestDriver();
  for (let i = 0; i < mutations; i++) {
    const random = randomOf(i);
    const seed = seeds[i % seeds.length];
    const other = seeds[random(seeds.length)];
    if (seed === undefined || other === undefined) continue;
    const bytes = mutateRequest(seed, other, random);
    try {
      driver.drive(seed.signal, bytes, seed.isJson);
    } catch (caught) {
      throw new Error(`mutation ${i} of ${seed.name}: ${bytes.toString("base64")}`, { cause: caught });
    }
  }
  // Most are refused; that some are not shows that the mutations reach what stands behind the walk.
  expect(driver.taken).toBeGreaterThan(mutations / 20);
  expect(driver.opened).toBeGreaterThan(mutations / 50);
  expect(driver.matched).toBeGreaterThan(mutations / 500);
});
