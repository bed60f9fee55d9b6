/** The identity tables of a process: who is speaking, learnt once and named by small numbers. */

import { randomBytes } from "node:crypto";
import { ByteWriter, varintLength } from "../kernels/byte-writer.ts";
import { createHashKey, type HashKey } from "../kernels/hash-bytes.ts";
import { type Attributes, decodeKeyValue, encodeKeyValue } from "./attributes.ts";
import { ByteTable } from "./byte-table.ts";
import { none } from "./intern-table.ts";
import type { Layout } from "./layout.ts";
import { ListTable } from "./list-table.ts";
import { MemoryParts } from "./memory-parts.ts";
import { ObjectTable } from "./object-table.ts";
import { type Family, familyKey, type Metric, metricKey, type Series } from "./series.ts";
import { sweepTables } from "./sweep.ts";

/** Numbers that a table may hand out: enough for 64 million series, and a bound all the same. */
export const maxIdentities = 1 << 26;

/** Growth below which a sweep is not worth its time. */
const sweepSlack = 4096;

/** A resource or a scope: attributes by number, and what else names it. */
export interface ResourceEntry {
  readonly attributes: number;
  readonly schemaUrl: string;
  readonly droppedAttributesCount: number;
  /** OTLP's `entity_refs` of a resource as encoded fields, in base64; undefined when there are none. */
  readonly entityRefs?: string | undefined;
}

export interface ScopeEntry extends ResourceEntry {
  readonly name: string;
  readonly version: string;
}

/** One label of a label set. */
export type Label = readonly [name: string, value: string];

/** All tables. Created once per process and handed down; no module keeps one. */
export class Identities {
  readonly hashKey: HashKey = createHashKey(randomBytes(12));
  /** Label pairs, each as the field `labels` of a remote-write 1.0 TimeSeries (tag, length, Label message). */
  readonly labelPairs = new ByteTable("label pair", this.hashKey, maxIdentities);
  /** Label sets: their pairs, sorted bytewise by name; the weight is the number of bytes of all pairs. */
  readonly labelSets = new ListTable("label set", this.hashKey, maxIdentities);
  /** Attributes, each as an OTLP KeyValue message. */
  readonly attributePairs = new ByteTable("attribute", this.hashKey, maxIdentities);
  /** Attribute sets: their pairs, sorted by key. */
  readonly attributeSets = new ListTable("attribute set", this.hashKey, maxIdentities);
  /** Short texts such as bucket bounds. */
  readonly texts = new ByteTable("text", this.hashKey, maxIdentities);
  /** Series in the OTLP reading: resource, scope, metric, attribute set. */
  readonly series = new ListTable("series", this.hashKey, maxIdentities);
  readonly resources = new ObjectTable<ResourceEntry>("resource", maxIdentities);
  readonly scopes = new ObjectTable<ScopeEntry>("scope", maxIdentities);
  readonly metrics = new ObjectTable<Metric>("metric", maxIdentities);
  /** Metric families in the Prometheus reading: name, type, help, unit. */
  readonly families = new ObjectTable<Family>("metric family", maxIdentities);
  /** What holds much memory beside the tables, such as scraping and queues. */
  readonly memory = new MemoryParts();
  readonly #writer = new ByteWriter();
  /** Layouts that may still be alive: whoever holds a layout keeps its numbers. One weak reference per layout, none per series. */
  readonly #layouts = new Set<WeakRef<Layout>>();
  readonly #roots = new Set<() => Iterable<Uint32Array>>();
  readonly #sweepListeners = new Set<() => void>();
  readonly #beforeSweepListeners = new Set<() => void>();
  #sizeAfterSweep = 0;
  /** How often numbers were given back: whoever remembers numbers for a while compares it. */
  sweeps = 0;
  #list = new Uint32Array(64);

  /** Bytes held by all tables but the object tables. */
  get byteLength(): number {
    return (
      this.labelPairs.byteLength +
      this.labelSets.byteLength +
      this.attributePairs.byteLength +
      this.attributeSets.byteLength +
      this.texts.byteLength +
      this.series.byteLength
    );
  }

  /** Every layout registers itself here when it is made. */
  register(layout: Layout): void {
    this.#layouts.add(new WeakRef(layout));
  }

  /** The layouts that may still be in use: those that the garbage collector has not taken yet. */
  *layouts(): Iterable<Layout> {
    for (const reference of this.#layouts) {
      const layout = reference.deref();
      if (layout !== undefined) yield layout;
    }
  }

  /** Names label sets that live outside layouts; asked at every sweep. Returns a function that takes it away. */
  addRoots(roots: () => Iterable<Uint32Array>): () => void {
    this.#roots.add(roots);
    return () => this.#roots.delete(roots);
  }

  /** Called before a sweep looks for what is in use: whoever remembers layouts lets go of those that nobody asked for lately. */
  beforeSweep(listener: () => void): () => void {
    this.#beforeSweepListeners.add(listener);
    return () => this.#beforeSweepListeners.delete(listener);
  }

  /** Called after numbers were given back: whoever remembers something by number forgets it. */
  onSweep(listener: () => void): () => void {
    this.#sweepListeners.add(listener);
    return () => this.#sweepListeners.delete(listener);
  }

  /** Sweeps when the tables have grown by a quarter since the last sweep, or when forced. Returns how many label sets and series were freed. */
  sweep(force = false): number {
    const size = this.labelSets.size + this.series.size;
    if (!force && size < this.#sizeAfterSweep * 1.25 + sweepSlack) return 0;
    for (const listener of this.#beforeSweepListeners) listener();
    const layouts: Layout[] = [];
    for (const reference of this.#layouts) {
      const layout = reference.deref();
      if (layout === undefined) this.#layouts.delete(reference);
      else layouts.push(layout);
    }
    const roots = [...this.#roots].flatMap((read) => [...read()]);
    const freed = sweepTables(this, layouts, roots);
    this.#sizeAfterSweep = this.labelSets.size + this.series.size;
    if (freed.identities + freed.parts > 0) {
      this.sweeps++;
      for (const listener of this.#sweepListeners) listener();
    }
    return freed.identities;
  }

  internText(text: string): number {
    return this.texts.intern(Buffer.from(text));
  }

  text(id: number): string {
    return Buffer.from(this.texts.view(id)).toString("utf8");
  }

  internLabelPair(name: string, value: string): number {
    const writer = this.#writer;
    writer.reset();
    writer.reserve(32 + 3 * (name.length + value.length));
    // Room for tag and length in front, which are known only when the message is written.
    const front = 6;
    writer.length = front;
    writer.stringField(0x0a, name);
    writer.stringField(0x12, value);
    const size = writer.length - front;
    let at = front;
    let rest = size;
    const groups: number[] = [];
    while (rest >= 0x80) {
      groups.push((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    groups.push(rest);
    for (let i = groups.length - 1; i >= 0; i--) writer.bytes[--at] = groups[i] as number;
    writer.bytes[--at] = 0x0a;
    return this.labelPairs.intern(writer.bytes, at, writer.length);
  }

  /** The same for UTF-8 bytes: those of `name`, and `source[start..end)`. */
  internLabelBytes(name: Uint8Array, source: Uint8Array, start: number, end: number): number {
    const writer = this.#writer;
    const valueBytes = end - start;
    const size = 2 + varintLength(name.length) + name.length + varintLength(valueBytes) + valueBytes;
    writer.reset();
    writer.reserve(size + 8);
    writer.varint(0x0a);
    writer.varint(size);
    writer.varint(0x0a);
    writer.varint(name.length);
    const { bytes } = writer;
    let at = writer.length;
    for (let i = 0; i < name.length; i++) bytes[at++] = name[i] as number;
    writer.length = at;
    writer.varint(0x12);
    writer.varint(valueBytes);
    at = writer.length;
    for (let i = start; i < end; i++) bytes[at++] = source[i] as number;
    return this.labelPairs.intern(bytes, 0, at);
  }

  labelPair(id: number): Label {
    const bytes = Buffer.from(this.labelPairs.view(id));
    let at = 1;
    while ((bytes[at++] as number) >= 0x80);
    at++;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] as number;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    const name = bytes.toString("utf8", at, at + length);
    at += length + 1;
    while ((bytes[at++] as number) >= 0x80);
    return [name, bytes.toString("utf8", at)];
  }

  /** The number of a label set. The labels must be sorted bytewise by name, unique, with values that are not empty. */
  internLabels(sorted: readonly Label[]): number {
    if (sorted.length > this.#list.length) this.#list = new Uint32Array(sorted.length * 2);
    const list = this.#list;
    let weight = 0;
    for (let i = 0; i < sorted.length; i++) {
      const [name, value] = sorted[i] as Label;
      const pair = this.internLabelPair(name, value);
      list[i] = pair;
      weight += this.labelPairs.lengths[pair] as number;
    }
    return this.labelSets.intern(list, sorted.length, weight);
  }

  /** The labels of a label set, sorted by name. */
  labels(id: number): Label[] {
    return Array.from(this.labelSets.view(id), (pair) => this.labelPair(pair));
  }

  internAttributes(attributes: Attributes): number {
    const pairs: [string, number][] = [];
    for (const [key, value] of attributes) {
      this.#writer.reset();
      encodeKeyValue(this.#writer, key, value);
      pairs.push([key, this.attributePairs.intern(this.#writer.view())]);
    }
    pairs.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
    return this.attributeSets.intern(
      Uint32Array.from(pairs, (pair) => pair[1]),
      pairs.length,
    );
  }

  attributes(id: number): Attributes {
    if (id === none) return new Map();
    return new Map(Array.from(this.attributeSets.view(id), (pair) => decodeKeyValue(this.attributePairs.view(pair))));
  }

  /** The number of a resource. `entityRefs`: the fields `entity_refs` of its OTLP message, encoded. */
  internResource(
    attributes: Attributes,
    schemaUrl = "",
    droppedAttributesCount = 0,
    entityRefs: string | Uint8Array = "",
  ): number {
    const refs = typeof entityRefs === "string" ? entityRefs : Buffer.from(entityRefs).toString("base64");
    const entry: ResourceEntry = {
      attributes: this.internAttributes(attributes),
      schemaUrl,
      droppedAttributesCount,
      ...(refs === "" ? {} : { entityRefs: refs }),
    };
    return this.resources.intern(JSON.stringify(entry), entry);
  }

  internScope(
    name: string,
    version: string,
    attributes: Attributes,
    schemaUrl = "",
    droppedAttributesCount = 0,
  ): number {
    const entry = { name, version, attributes: this.internAttributes(attributes), schemaUrl, droppedAttributesCount };
    return this.scopes.intern(JSON.stringify(entry), entry);
  }

  internMetric(metric: Metric): number {
    return this.metrics.intern(metricKey(metric), metric);
  }

  internFamily(family: Family): number {
    return this.families.intern(familyKey(family), family);
  }

  /** The number of a series from the numbers of its parts. */
  internSeriesParts(resource: number, scope: number, metric: number, attributes: number): number {
    const list = this.#list;
    list[0] = resource;
    list[1] = scope;
    list[2] = metric;
    list[3] = attributes;
    return this.series.intern(list, 4);
  }

  internSeries(series: Series): number {
    const { resource, scope } = series;
    return this.internSeriesParts(
      this.internResource(
        resource.attributes,
        resource.schemaUrl,
        resource.droppedAttributesCount,
        resource.entityRefs,
      ),
      this.internScope(scope.name, scope.version, scope.attributes, scope.schemaUrl, scope.droppedAttributesCount),
      this.internMetric(series.metric),
      this.internAttributes(series.attributes),
    );
  }

  /** A view of a series made for the moment. */
  seriesView(id: number): Series {
    const parts = this.series.view(id);
    const resource = this.resources.get(parts[0] as number);
    const scope = this.scopes.get(parts[1] as number);
    return {
      resource: { ...resource, attributes: this.attributes(resource.attributes) },
      scope: { ...scope, attributes: this.attributes(scope.attributes) },
      metric: this.metrics.get(parts[2] as number),
      attributes: this.attributes(parts[3] as number),
    };
  }
}
