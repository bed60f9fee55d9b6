/** What the memory of a process is in use for: whoever holds much of it says how much when asked. */

/** Bytes by the name of a part. Asked rarely, so a reader may walk over what it holds; nothing is counted on the way of a sample. */
export class MemoryParts {
  readonly #readers = new Map<() => number, string>();

  /** Names a part and how many bytes it holds now; readers of one part are summed. Returns a function that takes it away. */
  add(part: string, read: () => number): () => void {
    const reader = () => read();
    this.#readers.set(reader, part);
    return () => this.#readers.delete(reader);
  }

  /** The bytes of every part now. */
  read(): ReadonlyMap<string, number> {
    const bytes = new Map<string, number>();
    for (const [read, part] of this.#readers) bytes.set(part, (bytes.get(part) ?? 0) + read());
    return bytes;
  }
}
