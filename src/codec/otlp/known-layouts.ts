/** Layouts that requests had before, so that the same list of series is the same layout. */

import { hashNumbers } from "../../kernels/hash-bytes.ts";
import type { Identities } from "../../model/identities.ts";
import { PointsLayout } from "../../model/layout.ts";

/** Rows of remembered layouts, all together; above it all are forgotten. */
const maxRows = 1 << 23;

interface Entry {
  readonly layout: PointsLayout;
  epoch: number;
}

export class KnownLayouts {
  readonly #identities: Identities;
  readonly #entries = new Map<number, Entry[]>();
  #rows = 0;
  #epoch = 0;

  constructor(identities: Identities) {
    this.#identities = identities;
  }

  /** The layout of `series[0..length)` in this lane. */
  find(series: Uint32Array, length: number, lane: number): PointsLayout {
    const hash = hashNumbers(this.#identities.hashKey, series, 0, length);
    let list = this.#entries.get(hash);
    const known = list?.find(({ layout }) => layout.lane === lane && isList(layout.series, series, length));
    if (known !== undefined) {
      known.epoch = this.#epoch;
      return known.layout;
    }
    if (this.#rows + length > maxRows) {
      this.#entries.clear();
      this.#rows = 0;
      list = undefined;
    }
    const layout = new PointsLayout(this.#identities, series.slice(0, length), lane);
    const entry = { layout, epoch: this.#epoch };
    if (list === undefined) this.#entries.set(hash, [entry]);
    else list.push(entry);
    this.#rows += length;
    return layout;
  }

  /** Forgets the layouts that nobody asked for since the last call: they no longer keep their series. */
  forgetUnused(): void {
    for (const [hash, list] of this.#entries) {
      const used = list.filter((entry) => entry.epoch === this.#epoch);
      if (used.length === list.length) continue;
      for (const { layout, epoch } of list) if (epoch !== this.#epoch) this.#rows -= layout.length;
      if (used.length === 0) this.#entries.delete(hash);
      else this.#entries.set(hash, used);
    }
    this.#epoch++;
  }
}

function isList(series: Uint32Array, list: Uint32Array, length: number): boolean {
  if (series.length !== length) return false;
  for (let i = 0; i < length; i++) if (series[i] !== list[i]) return false;
  return true;
}
