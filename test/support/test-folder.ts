/** Folders that go away with the test that makes them. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** Creates an empty folder and returns its path. */
export function testFolder(): string {
  const path = mkdtempSync(join(tmpdir(), "millrace-test-"));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}
