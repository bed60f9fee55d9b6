/** Applies external labels and write relabeling once per series and once per layout, as a Prometheus agent does on egress. */

import type { SamplesSegment } from "../../model/batch.ts";
import type { Identities, Label } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import { SamplesLayout } from "../../model/layout.ts";
import { selectSamples } from "../../model/select-rows.ts";
import { LabelsBuilder } from "../relabel/labels-builder.ts";
import type { RelabelProgram } from "../relabel/relabel.ts";

interface MappedLayout {
  readonly layout: SamplesLayout;
  readonly rows: Uint32Array | undefined;
}

const unknown = 0xffff_ffff;

export class LayoutMapper {
  readonly #identities: Identities;
  readonly #externalLabels: readonly Label[];
  readonly #program: RelabelProgram | undefined;
  readonly #builder = new LabelsBuilder();
  #memo = new Uint32Array(1024).fill(unknown);
  #layouts = new WeakMap<SamplesLayout, MappedLayout>();

  constructor(identities: Identities, externalLabels: readonly Label[], program: RelabelProgram | undefined) {
    this.#identities = identities;
    this.#externalLabels = externalLabels.filter(([, value]) => value !== "");
    this.#program = program;
  }

  /** The segment with the labels that leave, or undefined when nothing of it is left. */
  map(segment: SamplesSegment): SamplesSegment | undefined {
    if (this.#externalLabels.length === 0 && this.#program === undefined) return segment;
    let mapped = this.#layouts.get(segment.layout);
    if (mapped === undefined) {
      mapped = this.#mapLayout(segment.layout);
      this.#layouts.set(segment.layout, mapped);
    }
    const result = selectSamples(segment, mapped.layout, mapped.rows);
    return result.to > result.from ? result : undefined;
  }

  /** The label set that leaves for one that came, or `none` when the rules drop it. */
  mapLabelSet(id: number): number {
    if (this.#externalLabels.length === 0 && this.#program === undefined) return id;
    if (id >= this.#memo.length) {
      const grown = new Uint32Array(Math.max(id + 1, this.#memo.length * 2)).fill(unknown);
      grown.set(this.#memo);
      this.#memo = grown;
    }
    let result = this.#memo[id] as number;
    if (result === unknown) {
      result = this.#compute(id);
      this.#memo[id] = result;
    }
    return result;
  }

  /** Forgets everything: numbers were given back and may name other label sets. */
  forget(): void {
    this.#memo.fill(unknown);
    this.#layouts = new WeakMap();
  }

  #compute(id: number): number {
    const builder = this.#builder;
    builder.reset(this.#identities.labels(id));
    for (const [name, value] of this.#externalLabels) if (builder.get(name) === "") builder.set(name, value);
    if (this.#program !== undefined && !this.#program.apply(builder)) return none;
    if (builder.size === 0) return none;
    return this.#identities.internLabels(builder.sortedEntries());
  }

  #mapLayout(layout: SamplesLayout): MappedLayout {
    const source = layout.labels ?? new Uint32Array(0);
    const labels = source.map((id) => this.mapLabelSet(id));
    const kept: number[] = [];
    for (const [row, id] of labels.entries()) if (id !== none) kept.push(row);
    const rows = kept.length === labels.length ? undefined : Uint32Array.from(kept);
    const pick = (column: Uint32Array) =>
      rows === undefined ? column : Uint32Array.from(rows, (row) => column[row] ?? 0);
    const mapped = new SamplesLayout(
      this.#identities,
      { labels: pick(labels), families: pick(layout.families) },
      layout.origin,
    );
    return { layout: mapped, rows };
  }
}
