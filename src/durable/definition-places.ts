/** Where the definitions of a segment are, by their names: packed once the segment is closed, for there may be thousands in each. */

const nameBytes = 16;
/** Name and offset, as in the file. */
export const definitionBytes = nameBytes + 4;

export class DefinitionPlaces {
  /** Of a segment that is written to. */
  #added = new Map<string, number>();
  /** Entries as they are in the file. */
  #packed: Buffer;

  /** `packed` is kept. */
  constructor(packed: Buffer = Buffer.alloc(0)) {
    this.#packed = packed;
  }

  get size(): number {
    return this.#added.size + this.#packed.length / definitionBytes;
  }

  /** `name` is 16 bytes in hex. */
  get(name: string): number | undefined {
    const added = this.#added.get(name);
    if (added !== undefined || this.#packed.length === 0) return added;
    // One after another: a lookup costs less than reading what it leads to.
    const wanted = Buffer.from(name, "hex");
    const first = wanted.readUInt32LE(0);
    const packed = this.#packed;
    for (let at = 0; at < packed.length; at += definitionBytes) {
      if (packed.readUInt32LE(at) !== first) continue;
      if (packed.compare(wanted, 0, nameBytes, at, at + nameBytes) === 0) return packed.readUInt32LE(at + nameBytes);
    }
    return undefined;
  }

  set(name: string, offset: number): void {
    this.#added.set(name, offset);
  }

  /** The entries as they stand in the file. */
  encode(): Buffer {
    const added = Buffer.alloc(this.#added.size * definitionBytes);
    let at = 0;
    for (const [name, offset] of this.#added) {
      added.write(name, at, "hex");
      added.writeUInt32LE(offset, at + nameBytes);
      at += definitionBytes;
    }
    return Buffer.concat([this.#packed, added]);
  }

  /** No more will be added. */
  pack(): void {
    this.#packed = this.encode();
    this.#added = new Map();
  }
}
