/**
 * Which rows of a page share a family where names alone do not say it. otelcol-contrib keeps families by name while it
 * goes through a page: `x_total` beside a declared gauge `x` takes the place of everything that `x` had so far, and
 * `x_total` below the rows of a counter `x` becomes one of them.
 */

import type { Identities } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import { type OtlpReading, rowPart, type SamplesLayout } from "../../model/layout.ts";
import type { FamilyType } from "../../model/series.ts";
import { cutSuffix, type FamilyPlace, isComposite, type NameReading } from "./family-reading.ts";

/** What a row's name means, with the number of its metric. */
export interface PlacedName extends NameReading {
  readonly id: number;
  readonly name: string;
}

function isGauge(type: FamilyType): boolean {
  return type === "gauge" || type === "unknown";
}

/** Whether the names of a layout may share families in a way that depends on the order of rows. */
export function mayFold(names: Iterable<PlacedName>): boolean {
  const byFamily = new Map<string, PlacedName>();
  const counters = new Set<string>();
  for (const one of names) {
    const { name, place, id } = one;
    if (place === undefined) continue;
    if (isGauge(place.type) && place.suffix !== "") return true;
    const isValue = one.part === rowPart.value;
    const other = byFamily.get(place.name);
    if (other === undefined || !isValue) byFamily.set(place.name, other ?? one);
    else if (other.name !== name && (other.id !== id || other.part === rowPart.value)) return true;
    else byFamily.set(place.name, one);
    if (place.type !== "counter" || !isValue) continue;
    // A counter `x` and an `x_total` of it.
    if (counters.has(place.declared) && other?.name !== name) return true;
    counters.add(place.declared);
  }
  return false;
}

/** A family while a page is gone through. */
class OpenFamily {
  readonly place: FamilyPlace;
  readonly metric: number;
  /** All rows so far. */
  readonly rows: number[] = [];
  /** Values by attributes, with the name of their rows. */
  readonly values = new Map<number, { name: string; rows: number[] }>();

  constructor(place: FamilyPlace, metric: number) {
    this.place = place;
    this.metric = metric;
  }

  /** Whether a name that is not the family's own belongs to it. */
  includes(name: string): boolean {
    const { type } = this.place;
    if (isGauge(type)) return name === this.place.name;
    const isSum = type === "counter" || type === "info" || type === "stateset";
    return cutSuffix(name) === (isSum ? this.place.declared : this.place.name);
  }
}

/** Goes through the rows of a layout in their order and puts them into families as otelcol-contrib does. */
export class FamilyFolder {
  readonly #identities: Identities;
  readonly #reading: OtlpReading;
  /** By resource and scope, then by name. */
  readonly #families = new Map<string, Map<string, OpenFamily>>();

  constructor(identities: Identities, reading: OtlpReading) {
    this.#identities = identities;
    this.#reading = reading;
  }

  /** Takes the next row, and may change its series or those of rows before it. */
  take(row: number, { name, place, id, part }: PlacedName): void {
    const { series } = this.#reading;
    const own = series[row] as number;
    if (place === undefined || own === none) return;
    const [resource, scope, , attributes] = Array.from(this.#identities.series.view(own)) as [
      number,
      number,
      number,
      number,
    ];
    const family = this.#find(`${resource} ${scope}`, name, place, id);
    family.rows.push(row);
    if (family.metric !== id && !isComposite(family.place.type) && !isComposite(place.type)) {
      series[row] = this.#identities.internSeriesParts(resource, scope, family.metric, attributes);
    }
    if (part === rowPart.value) this.#value(family, row, name, attributes);
  }

  #find(key: string, name: string, place: FamilyPlace, id: number): OpenFamily {
    let families = this.#families.get(key);
    if (families === undefined) {
      families = new Map();
      this.#families.set(key, families);
    }
    const known = families.get(name) ?? families.get(lookupName(name, place));
    if (known !== undefined && (known === families.get(name) || known.includes(name))) return known;
    for (const row of families.get(place.name)?.rows ?? []) this.#replace(row);
    const family = new OpenFamily(place, id);
    families.set(place.name, family);
    return family;
  }

  /** Of two rows with one set of attributes the later stays, unless they have one name: then a rule that is the same for all decides. */
  #value(family: OpenFamily, row: number, name: string, attributes: number): void {
    const before = family.values.get(attributes);
    if (before?.name === name) before.rows.push(row);
    else {
      for (const other of before?.rows ?? []) this.#replace(other);
      family.values.set(attributes, { name, rows: [row] });
    }
  }

  #replace(row: number): void {
    this.#reading.part[row] = rowPart.replaced;
  }
}

/** The name under which the family of a row is looked for when there is none of the row's own name. */
function lookupName(name: string, place: FamilyPlace): string {
  if (place.suffix === "" && place.declared === name) return name;
  const cut = cutSuffix(name);
  return place.type === "counter" && name.endsWith("_created") ? `${cut}_total` : cut;
}

/**
 * Takes away the markers that would end a series which goes on: of rows that had joined the family of another name, when a
 * row of the last page still has the series or another marker ends it already. Such pages are rare, so all is looked up anew.
 */
export function withoutSharedMarkers(
  labels: Uint32Array,
  reading: OtlpReading,
  nameOf: (row: number) => PlacedName,
  page: SamplesLayout | undefined,
): void {
  const shared = [...labels.keys()].filter((row) => isShared(nameOf(row)));
  if (shared.length === 0) return;
  const ended = new Set(labels);
  const taken = new Set<number>();
  const pageReading = page?.reading();
  for (const [row, set] of (page?.labels ?? []).entries()) {
    if (pageReading?.part[row] === rowPart.value && !ended.has(set)) taken.add(pageReading.series[row] as number);
  }
  const joined = new Set(shared);
  for (const row of labels.keys()) if (!joined.has(row)) taken.add(reading.series[row] as number);
  for (const row of shared) {
    const series = reading.series[row] as number;
    if (taken.has(series)) reading.series[row] = none;
    else taken.add(series);
  }
}

function isShared({ name, place, part }: PlacedName): boolean {
  return part === rowPart.value && place !== undefined && place.name !== name;
}
