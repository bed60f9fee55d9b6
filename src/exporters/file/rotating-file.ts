/** A file that is only ever added to, whole pieces at a time, and that begins anew when it is large. */

import { type FileHandle, mkdir, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock, Logger } from "../../component/telemetry.ts";
import { toError } from "../../model/errors.ts";
import { deleteOldBackups, freeBackupPath } from "./backups.ts";
import type { RotationConfig } from "./config.ts";

const mebibyte = 2 ** 20;
/** Size of a file when the configuration says 0. */
const defaultMegabytes = 100;

export interface RotatingFileOptions {
  /** Continues a file that exists; it is emptied otherwise. */
  readonly append: boolean;
  /** Creates missing directories with these permissions. */
  readonly directoryMode: number | undefined;
  readonly rotation: RotationConfig | undefined;
}

export class RotatingFile {
  readonly #path: string;
  readonly #options: RotatingFileOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #maxBytes: number;
  #file: FileHandle | undefined;
  #size = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(path: string, options: RotatingFileOptions, clock: Clock, log: Logger) {
    this.#path = path;
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    const { rotation } = options;
    this.#maxBytes =
      rotation === undefined ? Number.POSITIVE_INFINITY : (rotation.max_megabytes || defaultMegabytes) * mebibyte;
  }

  get isOpen(): boolean {
    return this.#file !== undefined;
  }

  /** Rejects with the system's error. */
  async open(): Promise<void> {
    const { append, directoryMode } = this.#options;
    if (this.#file !== undefined) return;
    if (directoryMode !== undefined) await mkdir(dirname(this.#path), { recursive: true, mode: directoryMode });
    const file = await open(this.#path, "a", 0o644);
    const stats = await file.stat();
    // Devices and pipes such as /dev/stdout cannot be emptied.
    const isEmptied = !append && stats.isFile();
    if (isEmptied) await file.truncate(0);
    this.#size = isEmptied ? 0 : stats.size;
    this.#file = file;
    await this.#deleteOld();
  }

  /** Adds the piece whole; when that fails, the file is as before and the promise rejects. Pieces keep their order. */
  append(piece: Uint8Array): Promise<void> {
    const written = this.#last.then(() => this.#write(piece));
    this.#last = written.catch(() => {});
    return written;
  }

  /** Waits for pieces under way. May be called at any time. */
  async close(): Promise<void> {
    await this.#last;
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #write(piece: Uint8Array): Promise<void> {
    if (this.#size > 0 && this.#size + piece.length > this.#maxBytes) await this.#rotate();
    const file = this.#file;
    if (file === undefined) throw new Error("the file is closed");
    let written = 0;
    try {
      while (written < piece.length) {
        const { bytesWritten } = await file.write(piece, written);
        written += bytesWritten;
      }
    } catch (caught) {
      await this.#takeBack(file, written);
      throw caught;
    }
    this.#size += piece.length;
  }

  /** Cuts off the part of a piece that went in, so that the next one begins on a line of its own. */
  async #takeBack(file: FileHandle, written: number): Promise<void> {
    if (written === 0) return;
    try {
      const { size } = await file.stat();
      await file.truncate(size - written);
    } catch (caught) {
      this.#log.error("A piece of a message remained in the file", {
        path: this.#path,
        bytes: written,
        error: toError(caught).message,
      });
    }
  }

  async #rotate(): Promise<void> {
    const { rotation } = this.#options;
    if (rotation === undefined) return;
    const backup = await freeBackupPath(this.#path, this.#clock.now(), rotation.localtime);
    await rename(this.#path, backup);
    const fresh = await open(this.#path, "a", 0o644);
    await this.#file?.close();
    this.#file = fresh;
    this.#size = 0;
    await this.#deleteOld();
  }

  async #deleteOld(): Promise<void> {
    const { rotation } = this.#options;
    if (rotation === undefined) return;
    try {
      await deleteOldBackups(this.#path, rotation, this.#clock.now());
    } catch (caught) {
      this.#log.warn("Cannot delete old files", { path: this.#path, error: toError(caught).message });
    }
  }
}
