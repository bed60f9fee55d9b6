/** A small file that is read again when it changed on disk, and only then. */

import { closeSync, fstatSync, openSync, readFileSync, type Stats, statSync } from "node:fs";
import { codeOf, HttpError } from "./http-error.ts";

const maxFileBytes = 1024 * 1024;

const wordsByCode: Readonly<Record<string, string>> = {
  ENOENT: "file not found",
  EACCES: "permission denied",
  EISDIR: "is a directory",
  ENOTDIR: "no such folder",
};

/** Reading is synchronous: these are files of a few kilobytes, and a stat costs less than a thread's wake-up. */
export class WatchedFile {
  readonly path: string;
  readonly #key: string;
  #seen: Stats | undefined;
  #text = "";
  #version = 0;

  /** `key` is the configuration key that names the file; errors begin with it. */
  constructor(key: string, path: string) {
    this.#key = key;
    this.path = path;
  }

  /** Counts the contents read so far. */
  get version(): number {
    return this.#version;
  }

  /** The text of the file as it is now. Throws HttpError with code FILE_UNREADABLE, key and path. */
  read(): string {
    try {
      const now = statSync(this.path);
      // Opening a named pipe would block the process until somebody writes to it.
      if (!now.isFile()) {
        throw new HttpError("FILE_UNREADABLE", now.isDirectory() ? "is a directory" : "not a regular file");
      }
      if (this.#seen === undefined || !isSameFile(now, this.#seen)) {
        this.#load();
      }
    } catch (caught) {
      this.#seen = undefined;
      throw this.#unreadable(caught);
    }
    return this.#text;
  }

  #load(): void {
    const file = openSync(this.path, "r");
    try {
      const found = fstatSync(file);
      if (found.size > maxFileBytes) {
        throw new HttpError("FILE_UNREADABLE", `larger than ${maxFileBytes} bytes`);
      }
      const text = readFileSync(file, "utf8");
      this.#seen = found;
      if (text !== this.#text || this.#version === 0) {
        this.#text = text;
        this.#version += 1;
      }
    } finally {
      closeSync(file);
    }
  }

  #unreadable(caught: unknown): HttpError {
    const code = codeOf(caught);
    const words = (code && wordsByCode[code]) ?? (caught instanceof Error ? caught.message : "not readable");
    return new HttpError("FILE_UNREADABLE", `${this.#key}: ${this.path}: ${words}`, { cause: caught });
  }
}

function isSameFile(a: Stats, b: Stats): boolean {
  return a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs && a.size === b.size && a.ino === b.ino && a.dev === b.dev;
}
