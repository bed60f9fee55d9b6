/** Keeps a second process away from the directory of a disk queue. */

import { closeSync, constants, openSync, readFileSync, rmdirSync, truncateSync, writeFileSync } from "node:fs";
import { join, parse } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { toError } from "../model/errors.ts";
import { StorageError } from "./storage-error.ts";

const lockName = "lock";
const ownerName = "lock.owner";
/** A pipe in its place holds nobody up. */
const writeOwner = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NONBLOCK;
const readOwner = constants.O_RDONLY | constants.O_NONBLOCK;
/** SQLITE_BUSY, SQLITE_CORRUPT, SQLITE_CANTOPEN, SQLITE_NOTADB. */
const codes = { busy: 5, corrupt: 11, cannotOpen: 14, notDatabase: 26 } as const;

export interface DirectoryLock {
  release(): void;
}

/** Takes a directory, which must exist; the permissions are those of files that are made. */
export type LockDirectory = (directory: string, permissions?: number) => Promise<DirectoryLock>;

/**
 * The lock is SQLite's on a file of its own: a lock of the kernel that ends with the process, however it ends, and that
 * holds between containers, where process numbers say nothing. Node has no other way to such a lock.
 * Rejects with STORAGE_LOCKED, naming the other process, or STORAGE_UNUSABLE.
 */
export const lockDirectory: LockDirectory = async (directory, permissions = 0o640) => {
  const { DatabaseSync: Database } = await import("node:sqlite");
  const path = join(directory, lockName);
  makeFile(path, permissions);
  let held: DatabaseSync;
  try {
    try {
      held = take(Database, path);
    } catch (caught) {
      if (!clear(path, codeOf(caught))) throw caught;
      held = take(Database, path);
    }
  } catch (caught) {
    if (codeOf(caught) === codes.busy) {
      throw new StorageError("STORAGE_LOCKED", `${directory} is in use by another process${owner(directory)}`);
    }
    const message = `${directory} cannot be written: ${toError(caught).message}`;
    throw new StorageError("STORAGE_UNUSABLE", message, { cause: caught });
  }
  try {
    const file = openSync(join(directory, ownerName), writeOwner, permissions);
    try {
      writeFileSync(file, `${process.pid} ${title()}\n`);
    } finally {
      closeSync(file);
    }
  } catch {
    // Only a name for messages; a full disk must not stop the start.
  }
  return { release: () => held.close() };
};

/** Where there is none: SQLite would give it permissions of its own. What stands in the way is found out when it is opened. */
function makeFile(path: string, permissions: number): void {
  try {
    closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, permissions));
  } catch {
    // It is there, or cannot be made.
  }
}

/** What runs, as `millrace run`; other arguments may hold secrets. */
function title(): string {
  const [, script, command] = process.argv;
  const words = [script === undefined ? process.title : parse(script).name, command ?? ""];
  return words.filter((word) => /^[\w-]+$/.test(word)).join(" ");
}

function take(Database: typeof DatabaseSync, path: string): DatabaseSync {
  const database = new Database(path, { timeout: 0 });
  try {
    database.exec("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE");
    return database;
  } catch (caught) {
    database.close();
    throw caught;
  }
}

function codeOf(caught: unknown): unknown {
  return (caught as { errcode?: unknown }).errcode;
}

/** The file has no content: what damage put there goes. Nobody has the lock, or it would have been busy. */
function clear(path: string, code: unknown): boolean {
  try {
    if (code === codes.notDatabase || code === codes.corrupt) truncateSync(path, 0);
    // Of an empty directory; nothing else.
    else if (code === codes.cannotOpen) rmdirSync(path);
    else return false;
    return true;
  } catch {
    return false;
  }
}

/** How often a directory is tried that another process has. */
const retryMs = 50;

/** The lock, waited for as long as another process has it and no longer than `timeoutMs`. */
export function lockWithin(timeoutMs: number, sleep: (ms: number) => Promise<void>): LockDirectory {
  return async (directory, permissions) => {
    for (let waitedMs = 0; ; waitedMs += retryMs) {
      try {
        return await lockDirectory(directory, permissions);
      } catch (caught) {
        const isHeld = caught instanceof StorageError && caught.code === "STORAGE_LOCKED";
        if (!isHeld || waitedMs >= timeoutMs) throw caught;
      }
      await sleep(retryMs);
    }
  };
}

function owner(directory: string): string {
  try {
    const [pid = "", ...title] = readFileSync(join(directory, ownerName), { encoding: "utf8", flag: readOwner })
      .trim()
      .slice(0, 200)
      .split(" ");
    return /^\d+$/.test(pid) ? ` (process ${pid}, ${title.join(" ")})` : "";
  } catch {
    return "";
  }
}
