import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { FailureFiles } from "./failure-files.ts";
import type { ScrapeTarget } from "./scrape-target.ts";

const dirs: string[] = [];

afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true });
});

const target = { jobName: "node", url: "http://localhost:9100/metrics" } as ScrapeTarget;

test("writes a JSON line per failed scrape, in order", async () => {
  const dir = mkdtempSync(join(tmpdir(), "millrace-failures-"));
  dirs.push(dir);
  const files = new FailureFiles(() => {});
  files.write(join(dir, "log"), target, new Error("one"), 0);
  files.write(join(dir, "log"), target, new Error("two"), 1000);
  await files.flush();
  const lines = readFileSync(join(dir, "log"), "utf8").trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { time: "1970-01-01T00:00:00.000Z", level: "ERROR", msg: "one", job_name: "node", target: target.url },
    { time: "1970-01-01T00:00:01.000Z", level: "ERROR", msg: "two", job_name: "node", target: target.url },
  ]);
});

test("tells once that a file cannot be written", async () => {
  const broken: string[] = [];
  const files = new FailureFiles((file) => broken.push(file));
  files.write("/nonexistent/dir/log", target, new Error("one"), 0);
  files.write("/nonexistent/dir/log", target, new Error("two"), 0);
  await files.flush();
  expect(broken).toEqual(["/nonexistent/dir/log"]);
});
