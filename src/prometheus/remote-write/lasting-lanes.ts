/** Lanes that outlive the process: chosen by labels, so that a series finds its own backlog on disk after a restart or a reload. */

import { createHashKey, type HashKey, hashBytes } from "../../kernels/hash-bytes.ts";
import { type SamplesSegment, sliceSamples } from "../../model/batch.ts";
import type { Identities } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import { SamplesLayout } from "../../model/layout.ts";
import { selectSamples } from "../../model/select-rows.ts";
import { translatedOrigin } from "../translation/translated-layout.ts";
import { laneCount } from "./lanes.ts";

/** Labels that say where a series comes from; those of a series never change, as any label of it. */
const sourceLabels: readonly string[] = ["instance", "job"];
/** Of a label pair that was not looked at. */
const unknown = 0xffff_ffff;

/** The rows of a layout that have one lane. */
interface Part {
  /** From the first of them to behind the last. */
  readonly from: number;
  readonly to: number;
  /** Which they are, where rows of other lanes stand between them: then `layout` has no others. */
  readonly rows: Uint32Array | undefined;
  readonly layout: SamplesLayout;
}

export class LastingLanes {
  readonly #identities: Identities;
  readonly #key: HashKey;
  #layouts = new WeakMap<SamplesLayout, readonly Part[]>();
  /** The hash of each label pair that says where a series comes from; 0 for all others. */
  #pairs = new Uint32Array(1024).fill(unknown);

  /** `queueId` is that of the queue on disk: 16 random bytes. */
  constructor(identities: Identities, queueId: Uint8Array) {
    this.#identities = identities;
    this.#key = createHashKey(queueId);
  }

  /** The same rows, those of a lane in their order, each segment with the lane of its rows as the lane of its layout. */
  apply(segments: readonly SamplesSegment[]): SamplesSegment[] {
    const divided: SamplesSegment[] = [];
    for (const segment of segments) {
      for (const { from, to, rows, layout } of this.#partsOf(segment.layout)) {
        const first = Math.max(from, segment.from) - segment.from;
        const end = Math.min(to, segment.to) - segment.from;
        if (first >= end) continue;
        const part =
          rows === undefined ? { ...sliceSamples(segment, first, end), layout } : selectSamples(segment, layout, rows);
        if (part.from < part.to) divided.push(part);
      }
    }
    return divided;
  }

  /** Label pairs are numbered anew. */
  forget(): void {
    this.#layouts = new WeakMap();
    this.#pairs.fill(unknown);
  }

  #partsOf(layout: SamplesLayout): readonly Part[] {
    let parts = this.#layouts.get(layout);
    if (parts === undefined) {
      parts = this.#divide(layout);
      this.#layouts.set(layout, parts);
    }
    return parts;
  }

  #divide({ labels: known, families, length }: SamplesLayout): readonly Part[] {
    const labels = known ?? new Uint32Array(length).fill(none);
    const rowsOf = new Map<number, number[]>();
    for (let row = 0; row < length; row++) {
      const lane = this.#laneOf(labels[row] as number);
      const rows = rowsOf.get(lane);
      if (rows === undefined) rowsOf.set(lane, [row]);
      else rows.push(row);
    }
    return Array.from(rowsOf, ([lane, rows]) => {
      const origin = translatedOrigin(lane);
      const from = rows[0] as number;
      const to = (rows.at(-1) as number) + 1;
      const isWhole = to - from === rows.length;
      const pick = (column: Uint32Array) => (isWhole ? column : Uint32Array.from(rows, (row) => column[row] as number));
      const layout = new SamplesLayout(this.#identities, { labels: pick(labels), families: pick(families) }, origin);
      return { from, to, rows: isWhole ? undefined : Uint32Array.from(rows), layout };
    });
  }

  #laneOf(labelSet: number): number {
    if (labelSet === none) return 0;
    let lane = 0;
    for (const pair of this.#identities.labelSets.view(labelSet)) {
      const hash = this.#hashOf(pair);
      if (hash !== 0) lane = (Math.imul(lane, 31) + hash) >>> 0;
    }
    return lane % laneCount;
  }

  #hashOf(pair: number): number {
    if (pair >= this.#pairs.length) {
      const grown = new Uint32Array(Math.max(pair + 1, this.#pairs.length * 2)).fill(unknown);
      grown.set(this.#pairs);
      this.#pairs = grown;
    }
    let hash = this.#pairs[pair] as number;
    if (hash === unknown) {
      const bytes = this.#identities.labelPairs.view(pair);
      const [name] = this.#identities.labelPair(pair);
      hash = sourceLabels.includes(name) ? hashBytes(this.#key, bytes, 0, bytes.length) : 0;
      this.#pairs[pair] = hash;
    }
    return hash;
  }
}
