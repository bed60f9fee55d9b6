/** Works out the OTLP reading of a scraped layout: which series, and which part of its point, every row is. */

import { ByteWriter } from "../../kernels/byte-writer.ts";
import { type AttributeValue, encodeKeyValue } from "../../model/attributes.ts";
import type { Identities, Label } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import { type OtlpReading, rowPart, type SamplesLayout } from "../../model/layout.ts";
import type { Family } from "../../model/series.ts";
import { currentFamily, isComposite, type LayoutFacts, readName } from "./family-reading.ts";
import { FamilyFolder, mayFold, type PlacedName, withoutSharedMarkers } from "./fold-families.ts";
import type { NameMemory } from "./name-memory.ts";
import { parseBound } from "./parse-bound.ts";
import { markRepeated } from "./repeated-rows.ts";
import { resourceAttributes } from "./resource-attributes.ts";

/** What the reader needs to know of the source of the rows. */
export interface ScrapeSource {
  readonly identities: Identities;
  /** Job and instance of rows whose labels have none. */
  readonly job: string;
  readonly instance: string;
  /** Labels of the target before relabeling. */
  readonly discoveredLabels: readonly Label[];
  /** Scope of rows without `otel_scope_` labels. */
  readonly scopeName: string;
  readonly scopeVersion: string;
  readonly trimMetricSuffixes: boolean;
}

/** Labels of rows that describe others, by what they describe. */
type InfoLabels = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** What rows of a page say about its resources and scopes; they are no metrics themselves. */
export interface PageInfo {
  /** Labels of `target_info` by the job and instance that they belong to. */
  readonly targets: InfoLabels;
  /** Labels of `otel_scope_info` by job, instance and identity of the scope. */
  readonly scopes: InfoLabels;
}

export const targetInfoName = "target_info";
export const scopeInfoName = "otel_scope_info";

/** What a label does in the OTLP reading. */
const role = { attribute: 0, name: 1, job: 2, instance: 3, bound: 4, scope: 5, dropped: 6 } as const;

interface Pair {
  readonly name: string;
  readonly value: string;
  readonly role: number;
  /** Number of the attribute of the same name and value; `none` until it is needed. */
  attribute: number;
}

const notAscii = /[^\x20-\x7e]/;
const scopePrefix = "otel_scope_";
/** Two numbers below 2^26 make one key below 2^52. */
const shift = 2 ** 26;
const separator = "\u0000";

function roleOf(name: string): number {
  switch (name) {
    case "__name__":
      return role.name;
    case "job":
      return role.job;
    case "instance":
      return role.instance;
    case "le":
    case "quantile":
      return role.bound;
    case "__scheme__":
    case "__metrics_path__":
      return role.dropped;
    default:
      return name.startsWith(scopePrefix) ? role.scope : role.attribute;
  }
}

function targetKey(job: string, instance: string): string {
  return job + separator + instance;
}

/** Fields of a scope that are no attributes of it. */
const scopeFields = ["name", "version", "schema_url"];

function scopeKey(target: string, fields: ReadonlyMap<string, string>): string {
  return [target, ...scopeFields.map((field) => fields.get(field) ?? "")].join(separator);
}

/** Reads one layout; use once. */
export class LayoutReader {
  readonly #source: ScrapeSource;
  readonly #identities: Identities;
  readonly #layout: SamplesLayout;
  readonly #pairs = new Map<number, Pair>();
  /** Number of the `__name__` pair of every row. */
  readonly #names: Uint32Array;
  readonly #readings = new Map<number, PlacedName>();
  readonly #resources = new Map<number, number>();
  readonly #scopes = new Map<string, number>();
  readonly #bounds = new Map<number, number>();
  /** The numbers of the texts of bounds. */
  readonly #boundNumbers = new Map<number, number>();
  readonly #writer = new ByteWriter(256);
  #list = new Uint32Array(64);
  #defaultScope = none;

  constructor(source: ScrapeSource, layout: SamplesLayout) {
    this.#source = source;
    this.#identities = source.identities;
    this.#layout = layout;
    this.#names = this.#findNames();
  }

  /** What the layout's `target_info` and `otel_scope_info` rows say, or undefined when it has none. */
  pageInfo(): PageInfo | undefined {
    const targets = new Map<string, Map<string, string>>();
    const scopes = new Map<string, Map<string, string>>();
    const labels = this.#labelColumn();
    for (let row = 0; row < labels.length; row++) {
      const name = this.#pair(this.#names[row] as number).value;
      if (name !== targetInfoName && name !== scopeInfoName) continue;
      const pairs = Array.from(this.#identities.labelSets.view(labels[row] as number), (id) => this.#pair(id));
      const { job, instance } = this.#target(pairs);
      const key = targetKey(job, instance);
      const own = pairs.filter(
        (pair) => pair.role !== role.name && pair.role !== role.job && pair.role !== role.instance && pair.value !== "",
      );
      if (name === targetInfoName) {
        targets.set(
          key,
          new Map([...(targets.get(key) ?? []), ...own.map((pair) => [pair.name, pair.value] as const)]),
        );
      } else {
        const isField = (pair: Pair) => scopeFields.some((field) => pair.name === scopePrefix + field);
        const fields = new Map(own.filter(isField).map((pair) => [pair.name.slice(scopePrefix.length), pair.value]));
        const others = own.filter((pair) => !isField(pair));
        scopes.set(scopeKey(key, fields), new Map(others.map((pair) => [pair.name, pair.value])));
      }
    }
    return targets.size + scopes.size === 0 ? undefined : { targets, scopes };
  }

  /**
   * Reads all rows. `knownNames` holds what names without a family meant before, and learns the names of this layout;
   * `page` is the page that markers are beside.
   */
  read(info: PageInfo, knownNames: NameMemory, page: SamplesLayout | undefined): OtlpReading {
    const labels = this.#labelColumn();
    const result = {
      series: new Uint32Array(labels.length),
      part: new Uint8Array(labels.length),
      bound: new Uint32Array(labels.length),
    };
    const declares = this.#readNames(knownNames);
    for (let row = 0; row < labels.length; row++) this.#readRow(row, labels[row] as number, info, result);
    // A page may declare nothing any more: it is no list of markers.
    const isMarkers = !declares && this.#layout !== page;
    if (isMarkers) withoutSharedMarkers(labels, result, (row) => this.#nameOf(row), page);
    else if (mayFold(this.#readings.values())) {
      const folder = new FamilyFolder(this.#identities, result);
      for (let row = 0; row < labels.length; row++) folder.take(row, this.#nameOf(row));
    }
    this.#markRepeated(result);
    return result;
  }

  /** Processors and exporters are not to tell such rows from those of series that a processor has made equal. */
  #markRepeated(reading: OtlpReading): void {
    // Rows without a job or an instance may repeat rows that name those of the target.
    const sharesResources = new Set(this.#resources.values()).size < this.#resources.size;
    const numbers = this.#boundNumbers;
    if (sharesResources || new Set(numbers.values()).size < numbers.size) {
      markRepeated(reading, numbers, sharesResources);
    }
  }

  #nameOf(row: number): PlacedName {
    return this.#readings.get(this.#readingKey(row)) as PlacedName;
  }

  #labelColumn(): Uint32Array {
    return this.#layout.labels ?? new Uint32Array(0);
  }

  #pair(id: number): Pair {
    let pair = this.#pairs.get(id);
    if (pair === undefined) {
      if (id === none) return { name: "__name__", value: "", role: role.name, attribute: none };
      const [name, value] = this.#identities.labelPair(id);
      pair = { name, value, role: roleOf(name), attribute: none };
      this.#pairs.set(id, pair);
    }
    return pair;
  }

  #findNames(): Uint32Array {
    const { labelSets } = this.#identities;
    return this.#labelColumn().map((set) => {
      const start = labelSets.offsets[set] as number;
      const end = start + (labelSets.lengths[set] as number);
      for (let i = start; i < end; i++) {
        const id = labelSets.items[i] as number;
        if (this.#pair(id).role === role.name) return id;
      }
      return none;
    });
  }

  #family(row: number): Family | undefined {
    const id = this.#layout.families[row] as number;
    return id === none ? undefined : this.#identities.families.get(id);
  }

  #readingKey(row: number): number {
    return (this.#names[row] as number) * shift + (this.#layout.families[row] as number);
  }

  /** Reads every distinct name with its family once. Returns whether anything is declared: markers come without. */
  #readNames(knownNames: NameMemory): boolean {
    const distinct = new Map<number, { name: string; family: Family | undefined }>();
    for (let row = 0; row < this.#names.length; row++) {
      const key = this.#readingKey(row);
      if (distinct.has(key)) continue;
      distinct.set(key, { name: this.#pair(this.#names[row] as number).value, family: this.#family(row) });
    }
    const facts = gatherFacts(distinct.values());
    const declares = facts.families.size > 0;
    if (declares) knownNames.begin();
    for (const [key, { name, family }] of distinct) {
      const remembered = family === undefined && !declares ? knownNames.get(name) : undefined;
      const reading = remembered ?? readName(name, family, facts, this.#source.trimMetricSuffixes);
      if (declares) knownNames.set(name, reading);
      this.#readings.set(key, { ...reading, name, id: this.#identities.internMetric(reading.metric) });
    }
    return declares;
  }

  #readRow(
    row: number,
    set: number,
    info: PageInfo,
    result: { series: Uint32Array; part: Uint8Array; bound: Uint32Array },
  ): void {
    const reading = this.#nameOf(row);
    const { name } = reading;
    if (name === targetInfoName || name === scopeInfoName) return;
    const { labelSets } = this.#identities;
    const start = labelSets.offsets[set] as number;
    const length = labelSets.lengths[set] as number;
    const items = labelSets.items;
    if (length > this.#list.length) this.#list = new Uint32Array(length * 2);
    let count = 0;
    let job = none;
    let instance = none;
    let bound = none;
    let scopes: Pair[] | undefined;
    let sorted = true;
    for (let i = start; i < start + length; i++) {
      const id = items[i] as number;
      const pair = this.#pair(id);
      if (pair.role === role.attribute || (pair.role === role.bound && pair.name !== reading.boundLabel)) {
        if (pair.value === "") continue;
        if (pair.attribute === none) this.#internAttribute(pair);
        sorted &&= !notAscii.test(pair.name);
        this.#list[count++] = pair.attribute;
      } else if (pair.role === role.bound) bound = id;
      else if (pair.role === role.job) job = id;
      else if (pair.role === role.instance) instance = id;
      else if (pair.role === role.scope) scopes = [...(scopes ?? []), pair];
    }
    const resource = this.#resource(job, instance, info);
    if (resource === none) return;
    const attributes = sorted
      ? this.#identities.attributeSets.intern(this.#list, count)
      : this.#unsorted(items.subarray(start, start + length), reading.boundLabel);
    const scope = scopes === undefined ? this.#ownScope() : this.#scope(scopes, job, instance, info);
    result.series[row] = this.#identities.internSeriesParts(resource, scope, reading.id, attributes);
    const isBound = reading.part === rowPart.bucket || reading.part === rowPart.quantile;
    const text = isBound ? this.#bound(bound) : none;
    if (isBound && text === none) return;
    result.part[row] = reading.part;
    result.bound[row] = text;
  }

  /** The attribute set of labels whose bytewise order is not that of attribute keys. */
  #unsorted(pairIds: Uint32Array, boundLabel: string | undefined): number {
    const attributes = new Map<string, AttributeValue>();
    for (const id of pairIds) {
      const pair = this.#pair(id);
      const counts = pair.role === role.attribute || (pair.role === role.bound && pair.name !== boundLabel);
      if (counts && pair.value !== "") attributes.set(pair.name, pair.value);
    }
    return this.#identities.internAttributes(attributes);
  }

  #internAttribute(pair: Pair): void {
    this.#writer.reset();
    encodeKeyValue(this.#writer, pair.name, pair.value);
    pair.attribute = this.#identities.attributePairs.intern(this.#writer.bytes, 0, this.#writer.length);
  }

  /** The number of the text of a bound, or `none` when it is missing or no number. */
  #bound(pairId: number): number {
    if (pairId === none) return none;
    let text = this.#bounds.get(pairId);
    if (text === undefined) {
      const { value } = this.#pair(pairId);
      const bound = parseBound(value);
      text = bound === undefined ? none : this.#identities.internText(value);
      this.#bounds.set(pairId, text);
      if (bound !== undefined) this.#boundNumbers.set(text, bound);
    }
    return text;
  }

  #target(pairs: readonly Pair[]): { job: string; instance: string } {
    const own = (wanted: number) => pairs.find((pair) => pair.role === wanted)?.value ?? "";
    const job = own(role.job);
    const instance = own(role.instance);
    if (job !== "" && instance !== "") return { job, instance };
    return { job: job || this.#source.job, instance: instance || this.#source.instance };
  }

  #targetOf(jobPair: number, instancePair: number): { job: string; instance: string } {
    return this.#target([jobPair, instancePair].filter((id) => id !== none).map((id) => this.#pair(id)));
  }

  #resource(jobPair: number, instancePair: number, info: PageInfo): number {
    const key = jobPair * shift + instancePair;
    let resource = this.#resources.get(key);
    if (resource === undefined) {
      const { job, instance } = this.#targetOf(jobPair, instancePair);
      resource = none;
      if (job !== "" && instance !== "") {
        const attributes = resourceAttributes(job, instance, this.#source.discoveredLabels);
        for (const [name, value] of info.targets.get(targetKey(job, instance)) ?? []) attributes.set(name, value);
        resource = this.#identities.internResource(attributes);
      }
      this.#resources.set(key, resource);
    }
    return resource;
  }

  #ownScope(): number {
    if (this.#defaultScope === none) {
      const { scopeName, scopeVersion } = this.#source;
      this.#defaultScope = this.#identities.internScope(scopeName, scopeVersion, new Map());
    }
    return this.#defaultScope;
  }

  /** A scope that its rows give no attributes has those of its `otel_scope_info` row, as otelcol-contrib 0.155 does it. */
  #scope(pairs: readonly Pair[], jobPair: number, instancePair: number, info: PageInfo): number {
    const labels = pairs.map((pair) => `${pair.name}${separator}${pair.value}`).join(separator);
    const key = info.scopes.size === 0 ? labels : [jobPair, instancePair, labels].join(separator);
    let scope = this.#scopes.get(key);
    if (scope === undefined) {
      const fields = new Map(pairs.map((pair) => [pair.name.slice(scopePrefix.length), pair.value]));
      const [name, version, schemaUrl] = scopeFields.map((field) => fields.get(field) ?? "");
      const own = new Map([...fields].filter(([field]) => !scopeFields.includes(field)));
      const { job, instance } = this.#targetOf(jobPair, instancePair);
      const described = own.size > 0 ? undefined : info.scopes.get(scopeKey(targetKey(job, instance), fields));
      scope = this.#identities.internScope(name ?? "", version ?? "", described ?? own, schemaUrl);
      this.#scopes.set(key, scope);
    }
    return scope;
  }
}

function gatherFacts(rows: Iterable<{ name: string; family: Family | undefined }>): LayoutFacts {
  const all = [...rows];
  const families = new Map<string, Family>();
  for (const { family } of all) if (family !== undefined) families.set(family.name, family);
  const countedRenames = new Set<string>();
  for (const { name, family } of all) {
    const current = currentFamily(name, family, families);
    if (current === undefined) continue;
    const { type } = current.family;
    if (current.renamed && isComposite(type) && current.suffix === "_count") countedRenames.add(current.base);
  }
  return { families, countedRenames };
}
