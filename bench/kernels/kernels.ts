/** The bench of the page scanners: nanoseconds a sample of the plain and the SIMD kernel, and what hash flooding costs. */

import { performance } from "node:perf_hooks";
import { loadWasmScanner } from "../../src/kernels/load-kernels.ts";
import type { ScanPage } from "../../src/kernels/page-scan.ts";
import { scanPagePlain } from "../../src/kernels/scan-page.ts";
import { scanOf, templateOf } from "../../test/support/kernel-template.ts";
import { benchFloods } from "./flood.ts";
import { createLoadPage, createRandom, renderLoadPage } from "./load-page.ts";

const targets = 2;
const rounds = 5;

const usage = "usage: npm run bench -- kernels [SERIES]    (series of a page; 5000 unless told)";

export async function runKernelBench(args: string[], stop: AbortSignal): Promise<number> {
  const series = Number(args[0] ?? 5000);
  if (!Number.isSafeInteger(series) || series < 1) {
    console.log(usage);
    return args[0] === "--help" ? 0 : 2;
  }
  const plain: ScanPage = (template, scan) => scanPagePlain(template, scan);
  const scanner = loadWasmScanner(plain);
  const wasm: ScanPage = (template, scan) => scanner.scan(template, scan);
  const ordered = preparePages(series, false);
  const shuffled = preparePages(series, true);
  console.log(
    `pages of ${series} series, ${Math.round(ordered.bytes / ordered.samples)} bytes a line; ns a sample, best of ${rounds}`,
  );
  for (const [what, pages] of [
    ["same order", ordered],
    ["random order", shuffled],
  ] as const) {
    for (const [name, scan] of [
      ["plain", plain],
      ["wasm", wasm],
    ] as const) {
      if (stop.aborted) return 130;
      console.log(`${what.padEnd(14)}${name.padEnd(7)}${measure(pages, scan).toFixed(1)}`);
    }
  }
  console.log(`scratch memory ${(scanner.scratchBytes / 1024).toFixed(0)} KiB`);
  return benchFloods(series, stop) ? 0 : 1;
}

type Pages = ReturnType<typeof preparePages>;

function preparePages(series: number, shuffles: boolean) {
  const random = createRandom(1);
  const loadPage = createLoadPage(series);
  const first = renderLoadPage(loadPage, random);
  const count = Math.max(2, Math.min(targets, Math.ceil(200_000 / series)));
  const pages = Array.from({ length: count }, () => renderLoadPage(loadPage, random, shuffles));
  const template = templateOf(first);
  return { template, pages, bytes: first.length, samples: template.lines };
}

/** The best of some rounds over all pages; what a scan allocates is part of it. */
function measure({ template, pages, samples }: Pages, scan: ScanPage): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    let scans = 0;
    while (performance.now() - start < 400) {
      for (const page of pages) {
        const state = scanOf(template, page, page.length, {});
        if (!scan(template, state)) throw new Error(`the kernel stopped at byte ${state.offset}`);
        scans++;
      }
    }
    best = Math.min(best, ((performance.now() - start) * 1e6) / (scans * samples));
  }
  return best;
}
