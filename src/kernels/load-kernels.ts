/** Finds, checks and starts the compiled kernels. */

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { processLineKey } from "./hash-line.ts";
import type { ScanPage } from "./page-scan.ts";
import { createScratchMemory, type ScanModule, WasmScanner } from "./wasm-scanner.ts";
import { webAssembly } from "./webassembly.ts";

const fileName = "scan-page.wasm";
/** The custom section in which the build notes what the module was compiled from. */
export const sourceSection = "millrace.source";

/** SHA-256 over the names and contents of the kernels' sources; scripts/build-kernels.mjs computes the same. */
export function hashSources(folder: URL): string {
  const digest = createHash("sha256");
  for (const name of readdirSync(folder).sort()) {
    digest.update(`${name}\n`).update(readFileSync(new URL(name, folder)));
  }
  return digest.digest("hex");
}

/**
 * The scanner in WebAssembly. Throws an error that says why there is none: nothing was compiled, it was compiled from
 * other sources than those beside it, or the runtime has no WebAssembly, no SIMD or no memory for it.
 */
export function loadWasmScanner(plain: ScanPage): WasmScanner {
  const { Module, Instance } = webAssembly();
  const module = new Module(readFileSync(findModule()));
  checkSources(module);
  const memory = createScratchMemory();
  const instance = new Instance(module, { env: { memory } });
  return new WasmScanner(instance.exports as unknown as ScanModule, memory, processLineKey, plain);
}

/** Beside this file in `dist`; from the source it is what the last build left there. */
function findModule(): string {
  const places = [new URL(fileName, import.meta.url), new URL(`../../dist/kernels/${fileName}`, import.meta.url)];
  const found = places.find((place) => existsSync(place));
  if (found === undefined) throw new Error("the kernels are not compiled");
  return fileURLToPath(found);
}

/** Sources are there when the program runs from a checkout: they may be newer than what was compiled. */
function checkSources(module: object): void {
  const folder = new URL("../../assembly/", import.meta.url);
  if (!existsSync(folder)) return;
  const section = webAssembly().Module.customSections(module, sourceSection)[0];
  const built = section === undefined ? "" : Buffer.from(section).toString("latin1");
  if (built !== hashSources(folder)) throw new Error("the kernels were compiled from other sources: npm run build");
}
