/** Files in memory for tests: a crash forgets, reorders and tears what was not synced. */

import { dirname } from "node:path";
import type { FileLayer, OpenFile, OpenMode } from "./file-layer.ts";

interface Change {
  readonly position: number;
  /** Undefined for a change of the length to `position`. */
  readonly bytes: Uint8Array | undefined;
}

type Bytes = Buffer<ArrayBuffer>;

interface Content {
  bytes: Bytes;
  /** Since the last sync. */
  changes: Change[];
  synced: Bytes;
}

type NameChange = { readonly name: string; readonly content: Content | undefined };

/** A disk tears writes at these borders. */
const sectorBytes = 512;

export class ForgetfulFiles {
  /** Bytes that all files together may have. */
  capacity = Number.POSITIVE_INFINITY;
  /** Reads and writes that fail, for a while. */
  failure: Error | undefined;
  /** Calls for a file that fail. */
  fault: (call: "open" | "read" | "write" | "remove", path: string) => Error | undefined = () => undefined;
  /** Directories, in the order in which they were synced. */
  readonly syncedDirectories: string[] = [];
  syncs = 0;
  writes = 0;
  #names = new Map<string, Content>();
  #syncedNames = new Map<string, Content>();
  #nameChanges: NameChange[] = [];
  #epoch = 0;

  get names(): string[] {
    return [...this.#names.keys()].sort();
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const content of this.#names.values()) bytes += content.bytes.length;
    return bytes;
  }

  /** The content of a file, to be damaged. */
  content(path: string): Buffer {
    return this.#names.get(path)?.bytes ?? Buffer.alloc(0);
  }

  replace(path: string, bytes: Bytes | undefined): void {
    if (bytes === undefined) this.#names.delete(path);
    else this.#names.set(path, { bytes, changes: [], synced: Buffer.from(bytes) });
  }

  /** The process dies; its files stay as they are. */
  kill(): void {
    this.#epoch++;
  }

  /** The power fails: of every change that was not synced, `random` says whether and how far it came. */
  cutPower(random: () => number): void {
    this.#epoch++;
    // Names keep their order, as a file system with a journal has them.
    const kept = Math.floor(random() * (this.#nameChanges.length + 1));
    for (const { name, content } of this.#nameChanges.slice(0, kept)) {
      if (content === undefined) this.#syncedNames.delete(name);
      else this.#syncedNames.set(name, content);
    }
    this.#nameChanges = [];
    this.#names = new Map(this.#syncedNames);
    for (const content of this.#names.values()) {
      content.bytes = tear(content, random);
      content.synced = Buffer.from(content.bytes);
      content.changes = [];
    }
  }

  /** The files as one process sees them: when it is dead, nothing that it was about to do happens. */
  process(): FileLayer {
    const epoch = this.#epoch;
    const act = async <T>(run: () => T): Promise<T> => {
      await Promise.resolve();
      if (epoch !== this.#epoch) await new Promise(() => {});
      if (this.failure !== undefined) throw this.failure;
      return run();
    };
    return {
      open: (path, mode) =>
        act(() => {
          this.#fail("open", path);
          return this.#handle(path, this.#open(path, mode), act);
        }),
      list: (directory) =>
        act(() =>
          this.names.filter((name) => dirname(name) === directory).map((name) => name.slice(directory.length + 1)),
        ),
      makeDirectory: () => act(() => {}),
      remove: (path) => act(() => this.#remove(path)),
      rename: (from, to) => act(() => this.#rename(from, to)),
      syncDirectory: (path) =>
        act(() => {
          this.syncedDirectories.push(path);
          this.#nameChanges = [];
          this.#syncedNames = new Map(this.#names);
        }),
      freeBytes: () => act(() => this.capacity - this.usedBytes),
    };
  }

  #fail(...[call, path]: Parameters<ForgetfulFiles["fault"]>): void {
    const error = this.fault(call, path);
    if (error !== undefined) throw error;
  }

  #open(path: string, mode: OpenMode): Content {
    let content = this.#names.get(path);
    if (content === undefined && mode !== "create") throw systemError("ENOENT");
    if (content === undefined || mode === "create") {
      content = { bytes: Buffer.alloc(0), changes: [], synced: Buffer.alloc(0) };
      this.#names.set(path, content);
      this.#nameChanges.push({ name: path, content });
    }
    return content;
  }

  #remove(path: string): void {
    this.#fail("remove", path);
    if (!this.#names.delete(path)) throw systemError("ENOENT");
    this.#nameChanges.push({ name: path, content: undefined });
  }

  #rename(from: string, to: string): void {
    const content = this.#names.get(from);
    if (content === undefined) throw systemError("ENOENT");
    this.#names.delete(from);
    this.#names.set(to, content);
    this.#nameChanges.push({ name: from, content: undefined }, { name: to, content });
  }

  #handle(path: string, content: Content, act: <T>(run: () => T) => Promise<T>): OpenFile {
    const change = (position: number, bytes: Uint8Array | undefined) => {
      content.changes.push({ position, bytes: bytes === undefined ? undefined : Buffer.from(bytes) });
      content.bytes = apply(content.bytes, position, bytes);
    };
    const write = (part: Uint8Array, at: number) => {
      this.writes++;
      this.#fail("write", path);
      const room = this.capacity - this.usedBytes - Math.max(0, at + part.length - content.bytes.length);
      if (room < 0) throw systemError("ENOSPC");
      change(at, part);
    };
    return {
      read: (target, position) =>
        act(() => {
          this.#fail("read", path);
          const part = content.bytes.subarray(position, position + target.length);
          target.set(part);
          return part.length;
        }),
      write: async (parts, position) => {
        let at = position;
        for (const part of parts) {
          await act(() => write(part, at));
          at += part.length;
        }
      },
      sync: () =>
        act(() => {
          this.syncs++;
          content.changes = [];
          content.synced = Buffer.from(content.bytes);
        }),
      truncate: (length) => act(() => change(length, undefined)),
      size: () => act(() => content.bytes.length),
      close: async () => {},
    };
  }
}

function apply(before: Bytes, position: number, bytes: Uint8Array | undefined): Bytes {
  const end = bytes === undefined ? position : Math.max(before.length, position + bytes.length);
  const after = resize(before, end);
  if (bytes !== undefined) after.set(bytes, position);
  return after;
}

/** Memory that has room for more: a file that grows by small writes is not copied with each of them. */
const roomy = new WeakSet<ArrayBufferLike>();

function resize(before: Bytes, length: number): Bytes {
  if (length <= before.length) return before.subarray(0, length);
  if (roomy.has(before.buffer) && before.byteOffset === 0 && length <= before.buffer.byteLength) {
    const after = Buffer.from(before.buffer, 0, length);
    // What a cut left there.
    return after.fill(0, before.length);
  }
  const room = new ArrayBuffer(2 * length);
  roomy.add(room);
  const after = Buffer.from(room, 0, length);
  before.copy(after);
  return after;
}

function tear({ synced, changes }: Content, random: () => number): Bytes {
  let bytes: Bytes = Buffer.from(synced);
  for (const { position, bytes: written } of changes) {
    const fate = random();
    if (fate < 0.4) continue;
    if (written === undefined || fate < 0.7) bytes = apply(bytes, position, written);
    else {
      const cut = Math.floor((random() * (position + written.length)) / sectorBytes) * sectorBytes;
      if (cut > position) bytes = apply(bytes, position, written.subarray(0, cut - position));
    }
  }
  return bytes;
}

export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: made up by a test`), { code });
}
