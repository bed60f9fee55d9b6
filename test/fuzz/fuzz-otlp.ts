/**
 * Fuzzes the OTLP codec outside the tests: `node test/fuzz/fuzz-otlp.ts [COUNT] [FIRST SEED]`. Each seed is one mutation of one
 * file of test/corpus/otlp. A failure names its seed and prints its bytes: put them into the corpus. A run is resumed by
 * giving the last seed it printed.
 */

import { performance } from "node:perf_hooks";
import { mutateRequest, RequestDriver, randomOf, readCorpus } from "../support/otlp-fuzz.ts";

/** A driver remembers what it has seen; now and then it begins anew, so that memory stays bounded. */
const mutationsOfDriver = 1_000_000;

function main(count: number, first: number): number {
  const seeds = readCorpus();
  const started = performance.now();
  let driver = new RequestDriver();
  let taken = 0;
  for (let i = first; i < first + count; i++) {
    const random = randomOf(i);
    const seed = seeds[i % seeds.length];
    const other = seeds[random(seeds.length)];
    if (seed === undefined || other === undefined) return 1;
    const bytes = mutateRequest(seed, other, random);
    const before = performance.now();
    try {
      driver.drive(seed.signal, bytes, seed.isJson);
    } catch (error) {
      console.error(`seed ${i} (${seed.name}), bytes in base64:\n${bytes.toString("base64")}\n`, error);
      return 1;
    }
    const tookMs = performance.now() - before;
    if (tookMs > 1000) console.error(`seed ${i} (${seed.name}) took ${Math.round(tookMs)} ms`);
    if ((i - first + 1) % mutationsOfDriver === 0) {
      taken += driver.taken;
      driver = new RequestDriver();
      const seconds = Math.round((performance.now() - started) / 1000);
      console.log(`seed ${i}: ${i - first + 1} mutations, ${taken} of them well-formed, ${seconds} s`);
    }
  }
  console.log(`${count} mutations from seed ${first}: ${taken + driver.taken} well-formed, nothing broke`);
  return 0;
}

process.exitCode = main(Number(process.argv[2] ?? 10_000_000), Number(process.argv[3] ?? 0));
