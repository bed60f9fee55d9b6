/**
 * Fuzzes the page scanners outside the tests: `node test/fuzz/fuzz-kernels.ts [COUNT] [FIRST SEED]`. Each seed is one mutation
 * of one piece of a page, scanned by both kernels and the parser. A failure names its seed; a run is resumed by giving the
 * last seed it printed.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { createLoadPage, createRandom, renderLoadPage } from "../../bench/kernels/load-page.ts";
import { buildKernels } from "../../scripts/build-kernels.mjs";
import { compareKernels, mutatePage, pieces } from "../support/kernel-fuzz.ts";
import { templateOf } from "../support/kernel-template.ts";

const root = new URL("../../", import.meta.url);
const conformance = new URL("../shared/conformance/exposition/", root);

interface Sample {
  readonly name: string;
  readonly page: Buffer;
  readonly isOpenMetrics: boolean;
}

function readSamples(): Sample[] {
  const load = renderLoadPage(createLoadPage(600), createRandom(1));
  const samples: Sample[] = pieces(load, 16).map((page, i) => ({ name: `load ${i}`, page, isOpenMetrics: false }));
  const files = existsSync(conformance) ? readdirSync(conformance).filter((name) => name.endsWith(".txt")) : [];
  if (files.length === 0) console.log("../shared/conformance is absent: only generated pages");
  for (const file of files) {
    const isOpenMetrics = file.endsWith(".om.txt");
    for (const [i, page] of pieces(readFileSync(new URL(file, conformance)), 16).entries()) {
      samples.push({ name: `${file} ${i}`, page, isOpenMetrics });
    }
  }
  return samples;
}

function main(count: number, first: number): number {
  buildKernels(new URL("dist/kernels", root).pathname);
  const samples = readSamples().map((sample) => ({
    ...sample,
    template: templateOf(sample.page, sample.isOpenMetrics),
  }));
  const started = performance.now();
  let lines = 0;
  for (let seed = first; seed < first + count; seed++) {
    const sample = samples[seed % samples.length] as (typeof samples)[number];
    const { template, isOpenMetrics } = sample;
    try {
      const page = mutatePage(sample.page, seed);
      lines += compareKernels({ template, page, isOpenMetrics, hasTimes: (seed >> 4) % 2 === 0 });
    } catch (error) {
      console.error(`seed ${seed} (${sample.name}):`, error);
      return 1;
    }
    if ((seed - first + 1) % 100_000 === 0) {
      const seconds = Math.round((performance.now() - started) / 1000);
      console.log(`seed ${seed}: ${seed - first + 1} mutations, ${lines} lines read by the kernels, ${seconds} s`);
    }
  }
  console.log(`${count} mutations from seed ${first}: the kernels agree on ${lines} lines`);
  return 0;
}

process.exitCode = main(Number(process.argv[2] ?? 10_000_000), Number(process.argv[3] ?? 0));
