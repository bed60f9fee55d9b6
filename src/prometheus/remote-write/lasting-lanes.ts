/** Lanes that outlive the process: chosen by labels, so that a series finds its own backlog on disk after a restart. */

import { createHashKey, type HashKey, hashBytes } from "../../kernels/hash-bytes.ts";
import { type SamplesSegment, sliceSamples } from "../../model/batch.ts";
import type { Identities } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import { SamplesLayout } from "../../model/layout.ts";
import { translatedOrigin } from "../translation/translated-layout.ts";

/** Labels that say where a series comes from; those of a series never change, as any label of it. */
const sourceLabels: readonly string[] = ["instance", "job"];

/** Rows of a layout that stand behind one another and have one lane. */
interface Run {
  readonly from: number;
  readonly to: number;
  readonly layout: SamplesLayout;
}

export class LastingLanes {
  readonly #identities: Identities;
  readonly #key: HashKey;
  #layouts = new WeakMap<SamplesLayout, readonly Run[]>();
  /** The hash of a label pair that says where a series comes from; 0 for all others. */
  readonly #pairs = new Map<number, number>();

  /** `queueId` is that of the queue on disk: 16 random bytes. */
  constructor(identities: Identities, queueId: Uint8Array) {
    this.#identities = identities;
    this.#key = createHashKey(queueId);
  }

  /** The same rows in the same order, each segment with the lane of its rows as the lane of its layout. */
  apply(segments: readonly SamplesSegment[]): SamplesSegment[] {
    return segments.flatMap((segment) => {
      const { from, to } = segment;
      return this.#runsOf(segment.layout).flatMap((run) => {
        if (run.to <= from || run.from >= to) return [];
        const part = sliceSamples(segment, Math.max(run.from - from, 0), Math.min(run.to, to) - from);
        return [{ ...part, layout: run.layout }];
      });
    });
  }

  /** Label pairs are numbered anew. */
  forget(): void {
    this.#layouts = new WeakMap();
    this.#pairs.clear();
  }

  #runsOf(layout: SamplesLayout): readonly Run[] {
    const known = this.#layouts.get(layout);
    if (known !== undefined) return known;
    const labels = layout.labels ?? new Uint32Array(layout.length).fill(none);
    const byLane = new Map<number, SamplesLayout>();
    const withLane = (lane: number) => {
      const { families } = layout;
      const found =
        byLane.get(lane) ?? new SamplesLayout(this.#identities, { labels, families }, translatedOrigin(lane));
      byLane.set(lane, found);
      return found;
    };
    const runs: Run[] = [];
    let from = 0;
    let lane = labels.length === 0 ? 0 : this.#laneOf(labels[0] as number);
    for (let row = 1; row <= labels.length; row++) {
      const next = row === labels.length ? undefined : this.#laneOf(labels[row] as number);
      if (next === lane) continue;
      runs.push({ from, to: row, layout: withLane(lane) });
      if (next === undefined) break;
      from = row;
      lane = next;
    }
    this.#layouts.set(layout, runs);
    return runs;
  }

  #laneOf(labelSet: number): number {
    if (labelSet === none) return 0;
    let lane = 0;
    for (const pair of this.#identities.labelSets.view(labelSet)) {
      const hash = this.#hashOf(pair);
      if (hash !== 0) lane = (Math.imul(lane, 31) + hash) >>> 0;
    }
    return lane;
  }

  #hashOf(pair: number): number {
    let hash = this.#pairs.get(pair);
    if (hash === undefined) {
      const bytes = this.#identities.labelPairs.view(pair);
      const [name] = this.#identities.labelPair(pair);
      hash = sourceLabels.includes(name) ? hashBytes(this.#key, bytes, 0, bytes.length) : 0;
      this.#pairs.set(pair, hash);
    }
    return hash;
  }
}
