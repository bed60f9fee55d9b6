/** Gives back the numbers of identities that nothing names any more. */

import type { Identities } from "./identities.ts";
import { none } from "./intern-table.ts";
import type { Layout } from "./layout.ts";

/** Numbers that are in use, by table. */
class Marks {
  readonly labelPairs: Uint8Array;
  readonly labelSets: Uint8Array;
  readonly attributePairs: Uint8Array;
  readonly attributeSets: Uint8Array;
  readonly texts: Uint8Array;
  readonly series: Uint8Array;
  readonly resources: Uint8Array;
  readonly scopes: Uint8Array;
  readonly metrics: Uint8Array;
  readonly families: Uint8Array;

  constructor(tables: Identities) {
    this.labelPairs = new Uint8Array(tables.labelPairs.capacity);
    this.labelSets = new Uint8Array(tables.labelSets.capacity);
    this.attributePairs = new Uint8Array(tables.attributePairs.capacity);
    this.attributeSets = new Uint8Array(tables.attributeSets.capacity);
    this.texts = new Uint8Array(tables.texts.capacity);
    this.series = new Uint8Array(tables.series.capacity);
    this.resources = new Uint8Array(tables.resources.capacity);
    this.scopes = new Uint8Array(tables.scopes.capacity);
    this.metrics = new Uint8Array(tables.metrics.capacity);
    this.families = new Uint8Array(tables.families.capacity);
  }
}

function markAll(marks: Uint8Array, ids: Uint32Array): void {
  for (let i = 0; i < ids.length; i++) marks[ids[i] as number] = 1;
}

function markLayout(marks: Marks, layout: Layout): void {
  if (layout.form === "points") {
    markAll(marks.series, layout.series);
    return;
  }
  if (layout.labels !== undefined) markAll(marks.labelSets, layout.labels);
  markAll(marks.families, layout.families);
  const reading = layout.knownReading;
  if (reading !== undefined) {
    markAll(marks.series, reading.series);
    markAll(marks.texts, reading.bound);
  }
}

/** From what layouts name to what that consists of. */
function markParts(tables: Identities, marks: Marks): void {
  for (let id = 1; id < marks.series.length; id++) {
    if (marks.series[id] === 0) continue;
    const parts = tables.series.view(id);
    marks.resources[parts[0] as number] = 1;
    marks.scopes[parts[1] as number] = 1;
    marks.metrics[parts[2] as number] = 1;
    marks.attributeSets[parts[3] as number] = 1;
  }
  for (let id = 1; id < marks.resources.length; id++) {
    if (marks.resources[id] === 1) marks.attributeSets[tables.resources.get(id).attributes] = 1;
  }
  for (let id = 1; id < marks.scopes.length; id++) {
    if (marks.scopes[id] === 1) marks.attributeSets[tables.scopes.get(id).attributes] = 1;
  }
  tables.attributeSets.markItems(marks.attributeSets, marks.attributePairs);
  tables.labelSets.markItems(marks.labelSets, marks.labelPairs);
}

/** What a sweep gave back. */
export interface Freed {
  /** Label sets and series. */
  readonly identities: number;
  /** What they consist of: pairs, attribute sets, texts, resources, scopes, metrics, families. */
  readonly parts: number;
}

/** Frees everything that neither a layout nor a root names. */
export function sweepTables(tables: Identities, layouts: Iterable<Layout>, roots: Iterable<Uint32Array>): Freed {
  const marks = new Marks(tables);
  for (const layout of layouts) markLayout(marks, layout);
  for (const labelSets of roots) markAll(marks.labelSets, labelSets);
  markParts(tables, marks);
  const live = (bits: Uint8Array) => (id: number) => id === none || bits[id] === 1;
  const identities = tables.labelSets.sweep(live(marks.labelSets)) + tables.series.sweep(live(marks.series));
  let parts = tables.labelPairs.sweep(live(marks.labelPairs));
  parts += tables.attributeSets.sweep(live(marks.attributeSets));
  parts += tables.attributePairs.sweep(live(marks.attributePairs));
  parts += tables.texts.sweep(live(marks.texts));
  parts += tables.resources.sweep(live(marks.resources));
  parts += tables.scopes.sweep(live(marks.scopes));
  parts += tables.metrics.sweep(live(marks.metrics));
  parts += tables.families.sweep(live(marks.families));
  return { identities, parts };
}
