/** Where the kernels in WebAssembly cannot be had, the plain ones run, and say why. */

import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createLoadPage, createRandom, renderLoadPage } from "../../bench/kernels/load-page.ts";
import { scanOf, templateOf } from "../../test/support/kernel-template.ts";
import { chooseKernels, describeKernels, kernelScratchBytes, kernelsInUse, scanPage } from "./kernels.ts";
import { loadWasmScanner } from "./load-kernels.ts";
import type { ScanPage } from "./page-scan.ts";
import { scanPagePlain } from "./scan-page.ts";
import { maxScratchBytes } from "./wasm-scanner.ts";
import { type WasmApi, webAssembly } from "./webassembly.ts";

const real = webAssembly();
const page = renderLoadPage(createLoadPage(200), createRandom(1));
const template = templateOf(page);

/** Puts another part into WebAssembly. */
function stubWebAssembly(parts: Partial<WasmApi>): void {
  vi.stubGlobal("WebAssembly", { Module: real.Module, Instance: real.Instance, Memory: real.Memory, ...parts });
}

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  syncBuiltinESMExports();
  expect(chooseKernels("wasm")).toEqual({ name: "wasm", reason: undefined });
});

describe("the plain kernels run", () => {
  class NoModule {
    static customSections = real.Module.customSections;

    constructor() {
      throw new SyntaxError("WebAssembly.Module(): Wasm SIMD unsupported");
    }
  }
  class NoMemory {
    constructor() {
      throw new RangeError("WebAssembly.Memory(): could not allocate memory");
    }
  }
  class OtherSources extends real.Module {
    static override customSections = () => [];
  }

  test.each<{ where: string; prepare: () => void; reason: RegExp }>([
    {
      where: "the runtime has no WebAssembly",
      prepare: () => vi.stubGlobal("WebAssembly", undefined),
      reason: /^the runtime has no WebAssembly$/,
    },
    {
      where: "the runtime has no SIMD",
      prepare: () => stubWebAssembly({ Module: NoModule as unknown as WasmApi["Module"] }),
      reason: /SIMD unsupported/,
    },
    {
      where: "the file is missing",
      prepare: () => {
        vi.spyOn(fs, "existsSync").mockReturnValue(false);
        syncBuiltinESMExports();
      },
      reason: /^the kernels are not compiled$/,
    },
    {
      where: "the file was compiled from other sources",
      prepare: () => stubWebAssembly({ Module: OtherSources }),
      reason: /^the kernels were compiled from other sources: npm run build$/,
    },
    {
      where: "memory is refused",
      prepare: () => stubWebAssembly({ Memory: NoMemory as unknown as WasmApi["Memory"] }),
      reason: /could not allocate memory/,
    },
  ])("where $where", ({ prepare, reason }) => {
    prepare();
    expect(chooseKernels("wasm")).toEqual({ name: "plain", reason: expect.stringMatching(reason) });
    expect(describeKernels()).toBe(`plain (${kernelsInUse().reason})`);
    expect(kernelScratchBytes()).toBe(0);
    const scan = scanOf(template, page, page.length, {});
    expect([scanPage(template, scan), scan.read]).toEqual([true, template.lines]);
  });

  test("where they are asked for", () => {
    expect(chooseKernels("plain")).toEqual({ name: "plain", reason: "asked for" });
    expect(kernelScratchBytes()).toBe(0);
  });
});

describe("a template that has no room in the scratch memory", () => {
  /** The template with so many lines behind its own that no page has. */
  function lengthened(lines: number): typeof template {
    const all = template.lines + lines;
    const sizes = new Uint16Array(all);
    sizes.set(template.sizes);
    const blocks = template.blockLines.length;
    const hashes = new Uint32Array((all + blocks) * 2);
    hashes.set(template.hashes.subarray(0, template.lines * 2));
    // None of them is the hash of a line but with a probability of 2^-61.
    for (let line = template.lines; line < all; line++) hashes[line * 2] = line;
    hashes.set(template.hashes.subarray(template.lines * 2), all * 2);
    return { ...template, lines: all, sizes, hashes, rows: undefined, index: undefined };
  }

  test.each([
    { what: "of all there may be", lines: 2_000_000, prepare: () => {} },
    {
      what: "that the system gives",
      lines: 50_000,
      prepare: () => {
        class Memory extends real.Memory {
          constructor({ initial }: { initial: number }) {
            super({ initial, maximum: initial });
          }
        }
        stubWebAssembly({ Memory });
      },
    },
  ])("$what goes to the plain kernel, and the next one to the fast kernel again", ({ lines, prepare }) => {
    prepare();
    let plainScans = 0;
    const plain: ScanPage = (given, scan) => {
      plainScans++;
      return scanPagePlain(given, scan);
    };
    const scanner = loadWasmScanner(plain);
    const long = lengthened(lines);
    const [scan, expected] = [scanOf(long, page, page.length, {}), scanOf(long, page, page.length, {})];
    expect(scanner.scan(long, scan)).toBe(scanPagePlain({ ...long, index: undefined }, expected));
    expect(plainScans).toBe(1);
    expect([scan.read, scan.offset, scan.line]).toEqual([template.lines, expected.offset, expected.line]);
    expect(scan.values).toEqual(expected.values);
    expect(scanner.scratchBytes).toBeLessThanOrEqual(maxScratchBytes);
    const next = scanOf(template, page, page.length, {});
    expect([scanner.scan(template, next), next.read, plainScans]).toEqual([true, template.lines, 1]);
  });
});
