/** The page scanners and the page cache on mutations of real pages: nothing but what the parser says. */

import { existsSync, readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { chooseKernels } from "../../src/kernels/kernels.ts";
import { compareKernels, mutatePage, pieces } from "../support/kernel-fuzz.ts";
import { templateOf } from "../support/kernel-template.ts";
import { propertyRuns } from "../support/property-runs.ts";
import { createPageReader, sortRows } from "../support/read-target-page.ts";

const repoRoot = new URL("../../", import.meta.url);
const pages = new URL("../shared/conformance/exposition/", repoRoot);
const isAbsent = !existsSync(pages);

/** Mutations in all: 20,000 scans of pieces of each page and of whole ones; test/fuzz runs millions. */
const table = [
  { file: "1histogram.om.txt", scans: 3000, reads: 120 },
  { file: "alltypes.5mfs.om.txt", scans: 5000, reads: 120 },
  { file: "alltypes.237mfs.prom.txt", scans: 6000, reads: 6 },
  { file: "alltypes.237mfs.nometa.prom.txt", scans: 6000, reads: 6 },
];

afterAll(() => chooseKernels("wasm"));

describe.skipIf(isAbsent)("real pages (skipped where ../shared/conformance is absent)", () => {
  test.each(table)("$file: both kernels on mutations", ({ file, scans }) => {
    const page = readFileSync(new URL(file, pages));
    const isOpenMetrics = file.endsWith(".om.txt");
    const parts = pieces(page, 12).map((part) => ({ part, template: templateOf(part, isOpenMetrics) }));
    parts.push(...(parts.length > 1 ? [{ part: page, template: templateOf(page, isOpenMetrics) }] : []));
    for (let seed = 0; seed < propertyRuns(scans); seed++) {
      const { part, template } = parts[seed % parts.length] as (typeof parts)[number];
      try {
        const hasTimes = (seed >> 4) % 2 === 0;
        compareKernels({ template, page: mutatePage(part, seed), isOpenMetrics, hasTimes });
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  });

  describe.each(["plain", "wasm"] as const)("%s", (kernel) => {
    test.each(table)("$file: the page cache on mutations, with what it knows and without", ({ file, reads }) => {
      chooseKernels(kernel);
      const page = readFileSync(new URL(file, pages));
      const isOpenMetrics = file.endsWith(".om.txt");
      const knowing = createPageReader();
      const { identities } = knowing;
      for (let seed = 0; seed < propertyRuns(reads); seed++) {
        const mutated = mutatePage(page, seed);
        const fresh = createPageReader({ identities });
        const [got, wanted] = [knowing.read(mutated, isOpenMetrics), fresh.read(mutated, isOpenMetrics)].map(
          (content) => ({
            ...sortRows(content),
            seriesAdded: 0,
          }),
        );
        if ("rows" in (got ?? {}))
          expect({ seed, ...withoutFamilies(got) }).toEqual({ seed, ...withoutFamilies(wanted) });
        else expect({ seed, ...got }).toEqual({ seed, ...wanted });
        knowing.read(page, isOpenMetrics);
      }
    });
  });
});

/** Metadata outlives the lines that declared it, so families are compared elsewhere. */
function withoutFamilies(content: object | undefined): object {
  const { rows, ...rest } = content as { rows: { family: string }[] };
  return { ...rest, rows: rows.map(({ family, ...row }) => row) };
}
