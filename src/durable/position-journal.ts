/** Remembers how far every lane was acknowledged and which segments there are, in two files of fixed size that take turns. */

import { randomBytes } from "node:crypto";
import { basename, join } from "node:path";
import { isNoFile } from "./damage.ts";
import type { FileLayer, OpenFile } from "./file-layer.ts";
import {
  encodeEntries,
  encodeJournalHeader,
  entryBytes,
  entryKinds,
  entrySeed,
  type JournalEntry,
  journalBytes,
  journalHeaderBytes,
  journalNames,
  nonceBytes,
  type Position,
} from "./journal-format.ts";
import type { QueueId } from "./record-format.ts";

/** What a file that begins anew is told at first. */
export interface Snapshot {
  readonly positions: Iterable<readonly [lane: number, position: Position]>;
  readonly segments: Iterable<number>;
}

/** Writes the journal. Entries are written in order, many in one call; an acknowledgement that fails is repeated with the next. */
export class PositionJournal {
  readonly #files: FileLayer;
  readonly #directory: string;
  readonly #queueId: QueueId;
  readonly #snapshot: () => Snapshot;
  readonly #open: OpenFile[] = [];
  #generation: number;
  #current: number;
  #seed = 0;
  #at = 0;
  #pending: JournalEntry[] = [];
  #writing: Promise<void> | undefined;
  #isDirty = false;

  constructor(
    files: FileLayer,
    directory: string,
    queueId: QueueId,
    start: { readonly generation: number; readonly newest: number },
    snapshot: () => Snapshot,
  ) {
    this.#files = files;
    this.#directory = directory;
    this.#queueId = queueId;
    this.#generation = start.generation;
    this.#current = start.newest;
    this.#snapshot = snapshot;
  }

  /** Makes both files as large as they will be and begins a new generation. */
  async start(permissions: number): Promise<void> {
    const listed = new Set(await this.#files.list(this.#directory));
    for (const name of journalNames) {
      const path = join(this.#directory, name);
      const file = await this.#openFile(path, listed, permissions);
      this.#open.push(file);
      const size = await file.size();
      if (size < journalBytes) await file.write([Buffer.alloc(journalBytes - size)], size);
      await file.sync();
    }
    await this.#files.syncDirectory(this.#directory);
    // From the beginning both have a header: one without is known to be damaged.
    if (this.#generation === 0) await this.#turn();
    await this.#turn();
  }

  /** What is no file steps aside and stays: it is not ours. */
  async #openFile(path: string, listed: ReadonlySet<string>, permissions: number): Promise<OpenFile> {
    try {
      return await this.#files.open(path, listed.has(basename(path)) ? "update" : "create", permissions);
    } catch (caught) {
      if (!isNoFile(caught) || !listed.has(basename(path))) throw caught;
    }
    let aside = `${path}.aside`;
    for (let n = 2; listed.has(basename(aside)); n++) aside = `${path}.aside-${n}`;
    await this.#files.rename(path, aside);
    return await this.#files.open(path, "create", permissions);
  }

  acknowledged(entries: Iterable<readonly [lane: number, position: Position]>): Promise<void> {
    for (const [lane, { sequence, done }] of entries) {
      this.#pending.push({ kind: entryKinds.acknowledged, lane, number: sequence, done });
    }
    return this.#flush();
  }

  /** When it rejects, it is as if it had never been called. */
  created(segment: number): Promise<void> {
    return this.#note({ kind: entryKinds.created, lane: 0, number: segment, done: 0 });
  }

  /** When it rejects, it is as if it had never been called. */
  removed(segment: number): Promise<void> {
    return this.#note({ kind: entryKinds.removed, lane: 0, number: segment, done: 0 });
  }

  /** Makes what was written survive a power cut. */
  async sync(): Promise<void> {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    try {
      await this.#open[this.#current]?.sync();
    } catch (caught) {
      this.#isDirty = true;
      throw caught;
    }
  }

  /** Closes the files also where it rejects, because the last of it could not be written. */
  async close(): Promise<void> {
    try {
      await this.#flush();
      await this.sync();
    } finally {
      for (const file of this.#open.splice(0)) await file.close();
    }
  }

  async #note(entry: JournalEntry): Promise<void> {
    this.#pending.push(entry);
    try {
      await this.#flush();
    } catch (caught) {
      // The write of another call may have it.
      while (this.#writing !== undefined) await this.#writing.catch(() => {});
      const at = this.#pending.indexOf(entry);
      if (at < 0) return;
      this.#pending.splice(at, 1);
      throw caught;
    }
  }

  /** One write at a time; what comes meanwhile goes with the next. */
  async #flush(): Promise<void> {
    while (this.#pending.length > 0) {
      this.#writing ??= this.#write().finally(() => {
        this.#writing = undefined;
      });
      await this.#writing;
    }
    await this.#writing;
  }

  async #write(): Promise<void> {
    const room = Math.floor((journalBytes - this.#at) / entryBytes);
    if (room === 0) {
      await this.#turn();
      return;
    }
    const entries = this.#pending.slice(0, room);
    await this.#open[this.#current]?.write([encodeEntries(entries, this.#seed)], this.#at);
    this.#pending.splice(0, entries.length);
    this.#at += entries.length * entryBytes;
    this.#isDirty = true;
  }

  /** Goes on in the other file, which begins with all that counts; until that is written, this one has it. */
  async #turn(): Promise<void> {
    await this.#open[this.#current]?.sync();
    const next = 1 - this.#current;
    const generation = this.#generation + 1;
    const header = { queueId: this.#queueId, generation, nonce: randomBytes(nonceBytes) };
    const seed = entrySeed(header);
    const { positions, segments } = this.#snapshot();
    const entries: JournalEntry[] = [];
    for (const [lane, { sequence, done }] of positions) {
      entries.push({ kind: entryKinds.acknowledged, lane, number: sequence, done });
    }
    for (const segment of segments) entries.push({ kind: entryKinds.created, lane: 0, number: segment, done: 0 });
    const capacity = Math.floor((journalBytes - journalHeaderBytes) / entryBytes) >> 1;
    // A journal that began nearly full would take turns without end; which segments there are is then only counted.
    const bytes = encodeEntries(entries.slice(0, capacity), seed);
    const at = journalHeaderBytes + bytes.length;
    // Zeros to the end: nothing of an earlier generation stays.
    await this.#open[next]?.write([encodeJournalHeader(header), bytes, Buffer.alloc(journalBytes - at)], 0);
    await this.#open[next]?.sync();
    this.#current = next;
    this.#generation = generation;
    this.#seed = seed;
    this.#at = at;
    this.#isDirty = false;
  }
}
