/** `npm run demo`: a sample application, and its samples on the screen. */

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { TestProcess } from "../kit/processes.ts";
import { waitFor } from "../kit/wait.ts";

const repo = fileURLToPath(new URL("../../", import.meta.url));
const shownWithinMs = 20_000;

it("npm run demo shows the metrics of the sample application, and Ctrl-C leaves no process behind", async () => {
  await using demo = start("setsid", "npm", "run", "demo");
  await demo.waitForOutput(/The sample application serves/, shownWithinMs);
  for (const metric of [/Name: shop_orders_total/, /Name: shop_checkout_seconds/, /Name: up\b/])
    await demo.waitForOutput(metric, shownWithinMs);
  expect(demo.output).toMatch(/payment: Str\(card\)/);
  const family = descendants(demo.pid);
  expect(family.length).toBeGreaterThanOrEqual(3);
  // As a terminal does: to the group in the foreground. How npm ends then is npm's own affair.
  process.kill(-demo.pid, "SIGINT");
  await demo.ended;
  await waitFor("all processes to be gone", () => family.every((pid) => commandOf(pid) === ""), 10_000);
});

it.each(["SIGINT", "SIGTERM"] as const)("the demo ends on %s with code 0", async (signal) => {
  await using demo = start(process.execPath, "scripts/demo.mjs");
  await demo.waitForOutput(/Everything is ready/, shownWithinMs);
  const family = descendants(demo.pid);
  expect(await demo.stop(signal)).toEqual({ code: 0, signal: null });
  await waitFor("all processes to be gone", () => family.every((pid) => commandOf(pid) === ""), 10_000);
});

function start(file: string, ...args: string[]): TestProcess {
  return new TestProcess({ title: "demo", file, args, cwd: repo });
}

/** Process ids below a process, at any depth. */
function descendants(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync("/proc")) {
    const id = Number(entry);
    if (!Number.isInteger(id)) continue;
    const parent = parentOf(id);
    children.set(parent, [...(children.get(parent) ?? []), id]);
  }
  const below = (id: number): number[] => (children.get(id) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(pid);
}

function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Empty when the process is gone. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}
