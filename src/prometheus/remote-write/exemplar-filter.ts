/** Chooses the exemplars that leave with a segment. */

import type { SampleExemplar, SamplesSegment } from "../../model/batch.ts";

export interface ExemplarFilterOptions {
  readonly sendExemplars: boolean;
  /** Leaves out an exemplar that equals the last one of its series, as Prometheus' storage does. */
  readonly skipRepeatedExemplars: boolean;
}

/** Runes that the labels of an exemplar may have (OpenMetrics 1.0 "Exemplars"). */
const maxExemplarRunes = 128;
const maxRemembered = 100_000;

export class ExemplarFilter {
  readonly #options: ExemplarFilterOptions;
  readonly #refused: (exemplars: number) => void;
  readonly #last = new Map<number, string>();

  /** `refused` hears how many exemplars no server takes. */
  constructor(options: ExemplarFilterOptions, refused: (exemplars: number) => void) {
    this.#options = options;
    this.#refused = refused;
  }

  /** Numbers of label sets were given back. */
  forget(): void {
    this.#last.clear();
  }

  of(segment: SamplesSegment): readonly SampleExemplar[] {
    const { sendExemplars, skipRepeatedExemplars } = this.#options;
    if (!sendExemplars || segment.exemplars === undefined || segment.exemplars.length === 0) return [];
    const fitting = segment.exemplars.filter(isShortEnough);
    if (fitting.length < segment.exemplars.length) this.#refused(segment.exemplars.length - fitting.length);
    return fitting.filter((exemplar) => {
      if (!skipRepeatedExemplars) return true;
      const set = segment.layout.labels?.[segment.from + exemplar.row] ?? 0;
      const key = JSON.stringify([exemplar.labels, exemplar.value, exemplar.timestampMs ?? null]);
      if (this.#last.get(set) === key) return false;
      if (this.#last.size >= maxRemembered) this.#last.clear();
      this.#last.set(set, key);
      return true;
    });
  }
}

function isShortEnough({ labels }: SampleExemplar): boolean {
  let runes = 0;
  for (const [name, value] of labels) runes += [...name].length + [...value].length;
  return runes <= maxExemplarRunes;
}
