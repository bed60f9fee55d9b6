/** Resources, scopes and metrics that were seen before, found by their encoded bytes. */

import { type AttributeValue, decodeKeyValue } from "../../model/attributes.ts";
import type { Identities } from "../../model/identities.ts";
import type { MetricType, Temporality } from "../../model/series.ts";
import { KnownRegions } from "./known-regions.ts";
import { WireReader } from "./wire-reader.ts";

const noBytes = new Uint8Array();
const regionLimit = 1 << 26;
const temporalities: readonly Temporality[] = ["unspecified", "delta", "cumulative"];
const typeNumbers: Readonly<Record<MetricType, number>> = {
  gauge: 0,
  sum: 1,
  histogram: 2,
  exponential_histogram: 3,
  summary: 4,
};

export class KnownParts {
  readonly regions: KnownRegions;
  readonly #identities: Identities;
  readonly #resources = new Map<number, number>();
  readonly #scopes = new Map<number, number>();
  readonly #metrics = new Map<number, number>();

  constructor(identities: Identities) {
    this.#identities = identities;
    this.regions = new KnownRegions(identities);
  }

  /** Forgets everything. */
  clear(): void {
    this.regions.clear();
    this.#resources.clear();
    this.#scopes.clear();
    this.#metrics.clear();
  }

  /** The number of a resource from its Resource messages (fields of one message that came more than once are merged) and its schema URL. */
  resource(content: readonly Uint8Array[], schemaUrl: Uint8Array | undefined): number {
    const bytes = joined(content);
    const key = this.#key(bytes, schemaUrl);
    let id = this.#resources.get(key);
    if (id === undefined) {
      const attributes = new Map<string, AttributeValue>();
      let dropped = 0;
      const entityRefs: Uint8Array[] = [];
      const reader = new WireReader(bytes);
      while (reader.next()) {
        if (reader.field === 1) attributes.set(...decodeKeyValue(reader.content()));
        else if (reader.field === 2) dropped = reader.uint32();
        else if (reader.field === 3) entityRefs.push(bytes.subarray(reader.fieldAt, reader.stop));
      }
      id = this.#identities.internResource(attributes, text(schemaUrl), dropped, joined(entityRefs));
      this.#resources.set(key, id);
    }
    return id;
  }

  /** The number of a scope, likewise. */
  scope(content: readonly Uint8Array[], schemaUrl: Uint8Array | undefined): number {
    const bytes = joined(content);
    const key = this.#key(bytes, schemaUrl);
    let id = this.#scopes.get(key);
    if (id === undefined) {
      const attributes = new Map<string, AttributeValue>();
      let [name, version, dropped] = ["", "", 0];
      const reader = new WireReader(bytes);
      while (reader.next()) {
        if (reader.field === 1) name = reader.text();
        else if (reader.field === 2) version = reader.text();
        else if (reader.field === 3) attributes.set(...decodeKeyValue(reader.content()));
        else if (reader.field === 4) dropped = reader.uint32();
      }
      id = this.#identities.internScope(name, version, attributes, text(schemaUrl), dropped);
      this.#scopes.set(key, id);
    }
    return id;
  }

  /** The number of a metric: its fields but the data as a region, and what its data says. */
  metric(header: number, type: MetricType, temporality: number, isMonotonic: number): number {
    const isAdditive = type !== "gauge" && type !== "summary";
    const code = typeNumbers[type] * 8 + (temporality < 3 && isAdditive ? temporality : 0) * 2 + isMonotonic;
    const key = header * 64 + code;
    let id = this.#metrics.get(key);
    if (id === undefined) {
      const metadata = new Map<string, AttributeValue>();
      let [name, description, unit] = ["", "", ""];
      const reader = new WireReader(this.regions.bytes(header));
      while (reader.next()) {
        if (reader.field === 1) name = reader.text();
        else if (reader.field === 2) description = reader.text();
        else if (reader.field === 3) unit = reader.text();
        else if (reader.field === 12) metadata.set(...decodeKeyValue(reader.content()));
      }
      id = this.#identities.internMetric({
        name,
        description,
        unit,
        type,
        temporality: isAdditive ? (temporalities[temporality] ?? "unspecified") : "none",
        isMonotonic: isMonotonic === 1 && type === "sum",
        metadata,
      });
      this.#metrics.set(key, id);
    }
    return id;
  }

  #key(bytes: Uint8Array, schemaUrl: Uint8Array | undefined): number {
    return this.#region(bytes) * regionLimit + this.#region(schemaUrl ?? noBytes);
  }

  #region(bytes: Uint8Array): number {
    return this.regions.find(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length, 0);
  }
}

function joined(content: readonly Uint8Array[]): Uint8Array {
  const [first = noBytes] = content;
  return content.length < 2 ? first : Buffer.concat(content);
}

function text(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? "" : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
}
