/** The few things that the disk queue asks of a file system, and their real implementation; tests have one that forgets. */

import * as fs from "node:fs";
import { dirname } from "node:path";
import { notFile } from "./damage.ts";

/** An open file. Every function rejects with the error of the system call. */
export interface OpenFile {
  /** Reads up to `target.length` bytes at `position`; returns how many there were, fewer only at the end of the file. */
  read(target: Uint8Array, position: number): Promise<number>;
  /** Writes all parts behind one another from `position` on. */
  write(parts: readonly Uint8Array[], position: number): Promise<void>;
  /** Resolves when the content survives a power cut. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** `read` needs the file, `update` too, `create` makes it or empties it. */
export type OpenMode = "read" | "update" | "create";

export interface FileLayer {
  /** Never waits for another process. Rejects with EISDIR for a directory, with ENOTFILE for what else is no file. */
  open(path: string, mode: OpenMode, permissions?: number): Promise<OpenFile>;
  /** The names in a directory, without an order. */
  list(directory: string): Promise<string[]>;
  makeDirectory(path: string, permissions: number): Promise<void>;
  /** Rejects with EISDIR for a directory. */
  remove(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Resolves when names that were made or removed in the directory survive a power cut. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes that the device still has for this process. */
  freeBytes(directory: string): Promise<number>;
}

const { O_RDONLY, O_RDWR, O_CREAT, O_TRUNC, O_NONBLOCK, O_NOCTTY } = fs.constants;
/** Opening a pipe would wait for its other end; what is no file is refused once it is open. */
const always = O_NONBLOCK | O_NOCTTY;
const flags: Readonly<Record<OpenMode, number>> = {
  read: O_RDONLY | always,
  update: O_RDWR | always,
  create: O_RDWR | O_CREAT | O_TRUNC | always,
};
/** Parts that one call writes; systems take 1,024. */
const maxParts = 512;

function call<T>(run: (done: (error: Error | null, value?: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    run((error, value) => (error === null ? resolve(value as T) : reject(error)));
  });
}

/** A file that the threads of the pool read and write. */
export class SystemFile implements OpenFile {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < target.length) {
      const count = await call<number>((back) =>
        fs.read(this.#fd, target, done, target.length - done, position + done, back),
      );
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  async write(parts: readonly Uint8Array[], position: number): Promise<void> {
    let at = position;
    for (let from = 0; from < parts.length; from += maxParts) {
      let rest = parts.slice(from, from + maxParts);
      while (rest.length > 0) {
        const list = rest;
        const written = await call<number>((back) =>
          fs.writev(this.#fd, list, at, (error, count) => back(error, count)),
        );
        at += written;
        rest = behind(rest, written);
      }
    }
  }

  sync(): Promise<void> {
    return call((back) => fs.fdatasync(this.#fd, back));
  }

  truncate(length: number): Promise<void> {
    return call((back) => fs.ftruncate(this.#fd, length, back));
  }

  async size(): Promise<number> {
    return (await call<fs.Stats>((back) => fs.fstat(this.#fd, back))).size;
  }

  close(): Promise<void> {
    return call((back) => fs.close(this.#fd, back));
  }
}

/** What is left of the parts behind their first `count` bytes. */
export function behind(parts: readonly Uint8Array[], count: number): Uint8Array[] {
  let left = count;
  const rest: Uint8Array[] = [];
  for (const part of parts) {
    if (left >= part.length) left -= part.length;
    else {
      rest.push(left === 0 ? part : part.subarray(left));
      left = 0;
    }
  }
  return rest;
}

/** One above another: the recursive call of Node never ends where a file system answers ENOENT for ever, as /proc does. */
async function makeDirectories(path: string, permissions: number): Promise<void> {
  const make = async () => {
    try {
      await fs.promises.mkdir(path, { mode: permissions });
      // Its name is to survive a power cut as what will be in it.
      await systemFiles.syncDirectory(dirname(path)).catch(() => {});
      return true;
    } catch (caught) {
      const { code } = caught as NodeJS.ErrnoException;
      if (code === "ENOENT" && dirname(path) !== path) return false;
      // Whoever made it, if it is a directory it is good.
      if (code !== "EEXIST" || !(await fs.promises.stat(path)).isDirectory()) throw caught;
      return true;
    }
  };
  if (await make()) return;
  await makeDirectories(dirname(path), permissions);
  if (!(await make())) throw new Error(`${path} cannot be made`);
}

/** As `FileLayer.open`, for whoever makes the file of it. */
export async function openDescriptor(path: string, mode: OpenMode, permissions = 0o640): Promise<number> {
  const fd = await call<number>((back) => fs.open(path, flags[mode], permissions, back));
  const { mode: kind } = await call<fs.Stats>((back) => fs.fstat(fd, back));
  if ((kind & fs.constants.S_IFMT) === fs.constants.S_IFREG) return fd;
  await call<void>((back) => fs.close(fd, back));
  throw Object.assign(new Error(`${notFile}: not a regular file, open '${path}'`), { code: notFile });
}

/** Files of the system. */
export const systemFiles: FileLayer = {
  open: async (path, mode, permissions) => new SystemFile(await openDescriptor(path, mode, permissions)),
  list: (directory) => fs.promises.readdir(directory),
  makeDirectory: makeDirectories,
  remove: (path) => fs.promises.unlink(path),
  rename: (from, to) => fs.promises.rename(from, to),
  async syncDirectory(path) {
    const fd = await call<number>((back) => fs.open(path, "r", back));
    try {
      await call<void>((back) => fs.fsync(fd, back));
    } finally {
      await call<void>((back) => fs.close(fd, back));
    }
  },
  async freeBytes(directory) {
    const { bavail, bsize } = await fs.promises.statfs(directory);
    return bavail * bsize;
  },
};
