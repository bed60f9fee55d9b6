/** The kernel in WebAssembly does exactly what its plain twin does: random, mutated, large and moved pages. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createLoadPage, createRandom, renderLoadPage } from "../../bench/kernels/load-page.ts";
import { compareKernels, mutatePage, pieces, plainKernel, wasmKernel } from "../../test/support/kernel-fuzz.ts";
import { scanOf, templateOf } from "../../test/support/kernel-template.ts";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { damagePage, damages, pageLine, renderPage } from "../../test/support/random-page.ts";
import { pieceBytes } from "./wasm-scanner.ts";

const pages = fc.boolean().chain((isOpenMetrics) =>
  fc.record({
    isOpenMetrics: fc.constant(isOpenMetrics),
    hasTimes: fc.boolean(),
    first: fc.array(pageLine(isOpenMetrics), { maxLength: 10 }),
    second: fc.option(fc.array(pageLine(isOpenMetrics), { maxLength: 10 })),
    faults: damages,
  }),
);

test("on random pages", () => {
  fc.assert(
    fc.property(pages, ({ isOpenMetrics, hasTimes, first, second, faults }) => {
      const template = templateOf(renderPage(first, isOpenMetrics), isOpenMetrics);
      const page = damagePage(renderPage(second ?? [...first].reverse(), isOpenMetrics), faults);
      compareKernels({ template, page, isOpenMetrics, hasTimes });
    }),
    { numRuns: propertyRuns(1500) },
  );
});

test("on mutations of pages of the load generator", () => {
  const page = renderLoadPage(createLoadPage(300), createRandom(3));
  let lines = 0;
  for (const [i, piece] of pieces(page, 12).entries()) {
    const template = templateOf(piece);
    for (let n = 0; n < 100; n++) {
      const seed = i * 1000 + n;
      try {
        lines += compareKernels({
          template,
          page: mutatePage(piece, seed),
          isOpenMetrics: false,
          hasTimes: n % 2 === 0,
        });
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  }
  expect(lines).toBeGreaterThan(10_000);
});

describe.each([
  ["plain", plainKernel],
  ["wasm", wasmKernel],
] as const)("%s", (_, kernel) => {
  const loadPage = createLoadPage(3000);
  const template = templateOf(renderLoadPage(loadPage, createRandom(5)));

  test("reads a page larger than its pieces whole, in order and in any order", () => {
    for (const shuffles of [false, true]) {
      const page = renderLoadPage(loadPage, createRandom(6), shuffles);
      expect(page.length).toBeGreaterThan(3 * pieceBytes);
      const scan = scanOf(template, page, page.length, {});
      expect(kernel(template, scan)).toBe(true);
      expect([scan.read, scan.moved, scan.offset]).toEqual([template.lines, shuffles, page.length]);
    }
  });

  test("goes on after a line that was inserted, deleted or moved", () => {
    const lines = renderLoadPage(loadPage, createRandom(7)).toString("latin1").split("\n").slice(0, -1);
    const changed = [...lines];
    changed.splice(500, 0, "new_series 1");
    changed.splice(1200, 1);
    const [moved = ""] = changed.splice(2000, 1);
    changed.splice(2500, 0, moved);
    const page = Buffer.from(`${changed.join("\n")}\n`);
    const scan = scanOf(template, page, page.length, {});
    expect(kernel(template, scan)).toBe(false);
    expect(page.toString("latin1", scan.offset, scan.offset + 10)).toBe("new_series");
    scan.offset += "new_series 1\n".length;
    expect(kernel(template, scan)).toBe(false);
    expect([scan.read, scan.moved, scan.offset]).toEqual([template.lines - 1, true, page.length]);
  });
});

test("scans of several pages by turns do not disturb one another", () => {
  const loadPage = createLoadPage(200);
  const template = templateOf(renderLoadPage(loadPage, createRandom(8)));
  const page = renderLoadPage(loadPage, createRandom(9)).toString("latin1");
  const bytes = Buffer.from(page.replaceAll(/^[^#].*\n/gm, "$&odd 1\n"));
  const scans = [1, 2].map(() => scanOf(template, bytes, bytes.length, {}));
  const values = [1, 2].map(() => scanOf(template, bytes, bytes.length, {}));
  for (let stop = 0; stop < 2000 && scans.some((scan) => scan.offset < scan.length); stop++) {
    for (const scan of stop % 5 === 0 ? scans : scans.slice(0, 1)) if (!wasmKernel(template, scan)) scan.offset += 6;
  }
  for (const scan of values) while (!plainKernel(template, scan) && scan.offset < scan.length) scan.offset += 6;
  expect(scans[0]?.read).toBe(values[0]?.read);
  expect(scans[0]?.values).toEqual(values[0]?.values);
});
