/** Folders of tests, removed when the test ends. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder of its own that goes away on disposal. */
export interface TempFolder extends Disposable {
  readonly path: string;
  /** Path of a name in the folder. */
  file(name: string): string;
  /** Writes a file and returns its path. */
  write(name: string, text: string | Uint8Array): string;
}

/** Creates an empty folder whose name begins with `title`. */
export function createTempFolder(title: string): TempFolder {
  const path = mkdtempSync(join(tmpdir(), `millrace-${title}-`));
  const file = (name: string) => join(path, name);
  return {
    path,
    file,
    write(name, text) {
      writeFileSync(file(name), text);
      return file(name);
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }),
  };
}
