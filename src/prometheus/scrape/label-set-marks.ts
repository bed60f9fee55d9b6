/** A set of label-set numbers that is emptied in no time: shared scratch of all targets of a process. */

export class LabelSetMarks {
  #marks = new Uint32Array(1024);
  #generation = 1;

  /** Empties the set. */
  clear(): void {
    this.#generation++;
    if (this.#generation > 0xffff_fffe) {
      this.#marks.fill(0);
      this.#generation = 1;
    }
  }

  has(id: number): boolean {
    return this.#marks[id] === this.#generation;
  }

  /** Adds a number; false when it was there. */
  add(id: number): boolean {
    if (id >= this.#marks.length) {
      const grown = new Uint32Array(Math.max(id + 1, this.#marks.length * 2));
      grown.set(this.#marks);
      this.#marks = grown;
    }
    if (this.#marks[id] === this.#generation) return false;
    this.#marks[id] = this.#generation;
    return true;
  }
}
