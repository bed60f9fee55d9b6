/** Compiles assembly/*.ts to WebAssembly modules, each with a note of the sources it was made from. */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const assembly = join(root, "assembly");
const require = createRequire(import.meta.url);
/** src/kernels/load-kernels.ts reads it. */
const sourceSection = "millrace.source";

function hashSources() {
  const digest = createHash("sha256");
  for (const name of readdirSync(assembly).sort())
    digest.update(`${name}\n`).update(readFileSync(join(assembly, name)));
  return digest.digest("hex");
}

/** A custom section; names and contents here are shorter than 128 bytes, so that every length is one byte. */
function customSection(name, text) {
  const body = Buffer.concat([Buffer.of(name.length), Buffer.from(name), Buffer.from(text)]);
  return Buffer.concat([Buffer.of(0, body.length), body]);
}

function isCurrent(file, source) {
  if (!existsSync(file)) return false;
  const bytes = readFileSync(file);
  return bytes.subarray(-source.length).toString("latin1") === source;
}

/** Writes the modules into `folder`, unless they are there and made from these very sources. */
export function buildKernels(folder) {
  const asc = join(dirname(require.resolve("assemblyscript/package.json")), "bin/asc.js");
  const source = hashSources();
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(assembly).filter((file) => file.endsWith(".ts"))) {
    const out = join(folder, name.replace(/\.ts$/, ".wasm"));
    if (isCurrent(out, source)) continue;
    const fresh = `${out}.${process.pid}`;
    const options = ["-O3", "--converge", "--runtime", "stub", "--importMemory", "--noAssert", "--enable", "simd"];
    const result = spawnSync(process.execPath, [asc, join("assembly", name), "-o", fresh, ...options], {
      stdio: "inherit",
      cwd: root,
    });
    if (result.status !== 0) {
      rmSync(fresh, { force: true });
      throw new Error(`assembly/${name} does not compile`);
    }
    writeFileSync(fresh, Buffer.concat([readFileSync(fresh), customSection(sourceSection, source)]));
    renameSync(fresh, out);
  }
}

// Vitest calls this before the tests, which run from the source.
export default function setup() {
  buildKernels(join(root, "dist/kernels"));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setup();
