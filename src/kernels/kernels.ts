/** Chooses the kernels of the process: those in WebAssembly with SIMD, or their plain twins. */

import { loadWasmScanner } from "./load-kernels.ts";
import type { PageScan, PageTemplate, ScanPage } from "./page-scan.ts";
import { scanPagePlain } from "./scan-page.ts";

export type KernelName = "wasm" | "plain";

/** Which kernels run, and why not the faster ones. */
export interface KernelChoice {
  readonly name: KernelName;
  readonly reason: string | undefined;
}

const scanPlain: ScanPage = (template, scan) => scanPagePlain(template, scan);
let scanChosen: ScanPage | undefined;
let scratchBytesOfChosen = () => 0;
let choice: KernelChoice = { name: "plain", reason: undefined };

/** Chooses the kernels for all that the process does from now on; where "wasm" cannot be had, the plain ones run. */
export function chooseKernels(wanted: KernelName): KernelChoice {
  scanChosen = scanPlain;
  scratchBytesOfChosen = () => 0;
  if (wanted === "plain") {
    choice = { name: "plain", reason: "asked for" };
    return choice;
  }
  try {
    const scanner = loadWasmScanner(scanPlain);
    scanChosen = (template, scan) => scanner.scan(template, scan);
    scratchBytesOfChosen = () => scanner.scratchBytes;
    choice = { name: "wasm", reason: undefined };
  } catch (error) {
    choice = { name: "plain", reason: error instanceof Error ? error.message : String(error) };
  }
  return choice;
}

/** The kernels in use; the first use chooses "wasm" where nothing was chosen. */
export function kernelsInUse(): KernelChoice {
  if (scanChosen === undefined) chooseKernels("wasm");
  return choice;
}

/**
 * Reads lines of a page as long as the template has them, in any order, with a plain number behind them. True when all
 * lines of the template were read, false when the line at `scan.offset` needs the slow path. Never throws.
 */
export function scanPage(template: PageTemplate, scan: PageScan): boolean {
  if (scanChosen === undefined) chooseKernels("wasm");
  return (scanChosen ?? scanPlain)(template, scan);
}

/** Bytes of scratch memory that the kernels hold now; 0 for the plain ones. */
export function kernelScratchBytes(): number {
  return scratchBytesOfChosen();
}

/** The kernels in use, for the log: "wasm", or "plain" and why. */
export function describeKernels(): string {
  const { name, reason } = kernelsInUse();
  return reason === undefined ? name : `${name} (${reason})`;
}
