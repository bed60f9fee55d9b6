/** Builds dist/ from src/ and assembly/ with the compilers of the project; what stood there before stays until the new one is whole. */

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildKernels } from "./build-kernels.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
// A package that was installed from the registry has its dist and no sources.
if (!existsSync(join(root, "src"))) process.exit(0);

/** Newest change below a file or folder, in milliseconds since 1970. */
function changedMs(path) {
  const { mtimeMs } = statSync(path);
  if (!statSync(path).isDirectory()) return mtimeMs;
  return readdirSync(path).reduce((newest, name) => Math.max(newest, changedMs(join(path, name))), mtimeMs);
}

// npm prepares the project again at its first `npx millrace`, which took half a minute and replaced what was running.
if (process.argv.includes("--if-changed")) {
  const inputs = ["src", "assembly", "scripts", "tsconfig.json", "tsconfig.build.json", "package-lock.json"];
  const built = statSync(join(root, "dist/cli/main.js"), { throwIfNoEntry: false });
  if (built !== undefined && inputs.every((input) => changedMs(join(root, input)) < built.mtimeMs)) process.exit(0);
}
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
