/** Small writes of a queue that does not sync: over when the call returns, unless the device was slow. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { testFolder } from "../../test/support/test-folder.ts";
import { promptFiles, WritePace } from "./prompt-files.ts";

const newFile = () => join(testFolder(), "file");

/** A clock that goes on by `stepMs` whenever it is read. */
function clock(stepMs: number) {
  let nowMs = 0;
  return () => {
    nowMs += stepMs;
    return nowMs;
  };
}

/** Counts the prompt writes. */
class CountingPace extends WritePace {
  writes = 0;

  override end(beganMs: number): void {
    this.writes++;
    super.end(beganMs);
  }
}

describe("a write into a local file", () => {
  test("is in the file when the call returns", async () => {
    const path = newFile();
    const file = await promptFiles().open(path, "create", 0o600);
    const writing = file.write([Buffer.from("ab"), Buffer.alloc(0), Buffer.from("cd")], 0);
    expect(readFileSync(path, "utf8")).toBe("abcd");
    await writing;
    await file.write([Buffer.alloc(0)], 4);
    await file.write([], 4);
    await file.write([Buffer.from("X")], 1);
    expect(readFileSync(path, "utf8")).toBe("aXcd");
    await file.close();
  });

  test("goes to the pool with more than 256 KiB, and arrives whole", async () => {
    const parts = [Buffer.alloc(256 * 1024, 1), Buffer.of(2)];
    const path = newFile();
    const pace = new CountingPace();
    const file = await promptFiles(pace).open(path, "create", 0o600);
    await file.write(parts, 0);
    expect(readFileSync(path)).toEqual(Buffer.concat(parts));
    expect(pace.writes).toBe(0);
    await file.close();
  });

  test("goes to the pool after one that was slow", async () => {
    const path = newFile();
    const pace = new CountingPace(clock(21));
    const file = await promptFiles(pace).open(path, "create", 0o600);
    await file.write([Buffer.from("slow")], 0);
    await file.write([Buffer.from("next")], 4);
    expect(readFileSync(path, "utf8")).toBe("slownext");
    expect(pace.writes).toBe(1);
    await file.close();
  });

  test("rejects with the error of the system call", async () => {
    const path = newFile();
    await (await promptFiles().open(path, "create", 0o600)).close();
    const file = await promptFiles().open(path, "update");
    await file.close();
    await expect(file.write([Buffer.from("x")], 0)).rejects.toMatchObject({ code: "EBADF" });
  });
});

test("the pace rests for a minute after a slow write, and goes on then", () => {
  let nowMs = 1000;
  const pace = new WritePace(() => nowMs);
  pace.end(nowMs - 20);
  expect(pace.begin()).toBe(1000);
  pace.end(nowMs - 21);
  expect(pace.begin()).toBeUndefined();
  nowMs += 59_999;
  expect(pace.begin()).toBeUndefined();
  nowMs += 1;
  expect(pace.begin()).toBe(61_000);
});
