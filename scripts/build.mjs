/** Builds dist/ from src/ and assembly/ with the compilers of the project; what stood there before stays until the new one is whole. */

import { spawnSync } from "node:child_process";
import { existsSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildKernels } from "./build-kernels.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
// A package that was installed from the registry has its dist and no sources.
if (!existsSync(join(root, "src"))) process.exit(0);
const require = createRequire(import.meta.url);
const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
const fresh = join(root, `dist.${process.pid}`);
const old = join(root, `dist.old.${process.pid}`);
const dist = join(root, "dist");
const result = spawnSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json"), "--outDir", fresh], {
  stdio: "inherit",
  cwd: root,
});
if (result.status !== 0) {
  rmSync(fresh, { recursive: true, force: true });
  process.exit(result.status ?? 1);
}
try {
  buildKernels(join(fresh, "kernels"));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  rmSync(fresh, { recursive: true, force: true });
  process.exit(1);
}
if (existsSync(dist)) renameSync(dist, old);
renameSync(fresh, dist);
rmSync(old, { recursive: true, force: true });
