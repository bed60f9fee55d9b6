/** Remembers what the names of a target meant while they were declared. */

import type { NameReading } from "./family-reading.ts";

/** How many layouts with declarations a name is remembered for after it was seen last. */
const rememberedLayouts = 10;

/** What the names of a target meant when its page declared them: rows of stale markers come without declarations. */
export class NameMemory {
  readonly #names = new Map<string, { reading: NameReading; seen: number }>();
  #layouts = 0;

  /** Begins a layout with declarations and forgets what was not seen for ten of them. */
  begin(): void {
    this.#layouts++;
    for (const [name, { seen }] of this.#names) {
      if (this.#layouts - seen > rememberedLayouts) this.#names.delete(name);
    }
  }

  get(name: string): NameReading | undefined {
    return this.#names.get(name)?.reading;
  }

  set(name: string, reading: NameReading): void {
    this.#names.set(name, { reading, seen: this.#layouts });
  }
}
