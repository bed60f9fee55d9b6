/** The Prometheus labels of OTLP series: attributes, `job` and `instance`, external labels, scope labels. */

import { attributeText } from "../../codec/otlp-json/attribute-text.ts";
import { decodeKeyValue } from "../../model/attributes.ts";
import type { Identities, Label } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import { compareUtf8 } from "../relabel/compare-utf8.ts";
import { type LabelNameRules, labelName, seriesLabelRules, targetInfoLabelRules } from "./label-name.ts";
import { allowsUtf8, type TranslationStrategy } from "./metric-name.ts";

export interface SeriesLabelOptions {
  readonly namespace: string;
  /** Added to every series that has no label of that name; names go through the label namer. */
  readonly externalLabels: Readonly<Record<string, string>>;
  readonly translationStrategy: TranslationStrategy;
  /** Leaves the `otel_scope_` labels out. */
  readonly disableScopeInfo: boolean;
  /** Copies the attributes of the resource to every point, over those of the point. */
  readonly resourceToTelemetry: { readonly enabled: boolean; readonly excludeServiceAttributes: boolean };
}

/** A label with its number in the table of label pairs. */
export interface PairLabel {
  readonly name: string;
  readonly value: string;
  readonly pair: number;
}

/** An attribute as it becomes a label. */
interface AttributeLabel {
  readonly key: string;
  /** Undefined when the key makes no label name. */
  readonly name: string | undefined;
  readonly value: string;
}

const identifying: ReadonlySet<string> = new Set(["service.name", "service.namespace", "service.instance.id"]);
const scopePrefix = "otel_scope_";

/** Works out label sets; remembers what attributes mean, so make one for each layout, never one for ever. */
export class SeriesLabels {
  readonly #identities: Identities;
  readonly #options: SeriesLabelOptions;
  readonly #rules: LabelNameRules;
  readonly #attributes = new Map<number, AttributeLabel>();
  readonly #resources = new Map<number, readonly Label[]>();
  readonly #scopes = new Map<number, readonly Label[]>();
  readonly #pairs = new Map<string, PairLabel>();
  #list = new Uint32Array(64);

  constructor(identities: Identities, options: SeriesLabelOptions) {
    this.#identities = identities;
    this.#options = options;
    this.#rules = { ...seriesLabelRules, utf8: allowsUtf8(options.translationStrategy) };
  }

  /** The labels of a series without `__name__`, sorted by name; undefined when an attribute makes no label name. */
  base(series: number): PairLabel[] | undefined {
    const parts = this.#identities.series.view(series);
    const resource = parts[0] as number;
    const scope = parts[1] as number;
    const labels = new Map<string, string>();
    if (!addAttributes(labels, this.#pointAttributes(resource, parts[3] as number))) return undefined;
    for (const [name, value] of this.#resourceLabels(resource)) labels.set(name, value);
    this.#addExternal(labels, this.#rules);
    if (!this.#options.disableScopeInfo) for (const [name, value] of this.#scopeLabels(scope)) labels.set(name, value);
    return Array.from(labels, ([name, value]) => this.pair(name, value)).sort((a, b) => compareUtf8(a.name, b.name));
  }

  pair(name: string, value: string): PairLabel {
    const key = `${name}\u0000${value}`;
    let label = this.#pairs.get(key);
    if (label === undefined) {
      label = { name, value, pair: this.#identities.internLabelPair(name, value) };
      this.#pairs.set(key, label);
    }
    return label;
  }

  /** The label set of `base` with `extra` labels (the name, a bound), which replace labels of the same name. */
  intern(base: readonly PairLabel[], ...extra: readonly PairLabel[]): number {
    const own = extra.filter(({ name }) => base.some((label) => label.name === name));
    const kept = own.length === 0 ? base : base.filter(({ name }) => !own.some((label) => label.name === name));
    const total = kept.length + extra.length;
    if (total > this.#list.length) this.#list = new Uint32Array(total * 2);
    const added = extra.length < 2 ? extra : [...extra].sort((a, b) => compareUtf8(a.name, b.name));
    const { lengths } = this.#identities.labelPairs;
    let weight = 0;
    let next = 0;
    let at = 0;
    for (let i = 0; i < total; i++) {
      const fromAdded =
        next < added.length &&
        (at >= kept.length || compareUtf8((added[next] as PairLabel).name, (kept[at] as PairLabel).name) < 0);
      const { pair } = (fromAdded ? added[next++] : kept[at++]) as PairLabel;
      this.#list[i] = pair;
      weight += lengths[pair] as number;
    }
    return this.#identities.labelSets.intern(this.#list, total, weight);
  }

  /**
   * The label set of a resource's `target_info`, or `none` when it gets none: nothing but service attributes, neither
   * job nor instance, or a key that makes no label name.
   */
  targetInfo(resource: number): number {
    const { attributes } = this.#identities.resources.get(resource);
    const own = this.#attributeList(attributes).filter(({ key }) => !identifying.has(key));
    if (own.length === 0) return none;
    const labels = new Map<string, string>();
    const renamed = own.map(({ key, value }) => ({ key, value, name: labelName(key, targetInfoLabelRules) }));
    if (!addAttributes(labels, renamed)) return none;
    for (const [name, value] of this.#resourceLabels(resource)) labels.set(name, value);
    this.#addExternal(labels, targetInfoLabelRules);
    if (!labels.has("job") && !labels.has("instance")) return none;
    const { namespace } = this.#options;
    labels.set("__name__", namespace === "" ? "target_info" : `${namespace}_target_info`);
    const sorted = Array.from(labels, ([name, value]) => this.pair(name, value));
    return this.intern(sorted.sort((a, b) => compareUtf8(a.name, b.name)));
  }

  #attribute(pair: number): AttributeLabel {
    let label = this.#attributes.get(pair);
    if (label === undefined) {
      const [key, value] = decodeKeyValue(this.#identities.attributePairs.view(pair));
      label = { key, name: labelName(key, this.#rules), value: attributeText(value) };
      this.#attributes.set(pair, label);
    }
    return label;
  }

  #attributeList(set: number): AttributeLabel[] {
    if (set === none) return [];
    return Array.from(this.#identities.attributeSets.view(set), (pair) => this.#attribute(pair));
  }

  /** The attributes of a point, with those of its resource when they are to be copied, sorted by key. */
  #pointAttributes(resource: number, attributes: number): AttributeLabel[] {
    const own = this.#attributeList(attributes);
    const { enabled, excludeServiceAttributes } = this.#options.resourceToTelemetry;
    if (!enabled) return own;
    const copied = this.#attributeList(this.#identities.resources.get(resource).attributes).filter(
      ({ key }) => !excludeServiceAttributes || !identifying.has(key),
    );
    const byKey = new Map([...own, ...copied].map((attribute) => [attribute.key, attribute]));
    return [...byKey.values()].sort((a, b) => compareUtf8(a.key, b.key));
  }

  /** `job` and `instance` of a resource. */
  #resourceLabels(resource: number): readonly Label[] {
    let labels = this.#resources.get(resource);
    if (labels === undefined) {
      const { attributes } = this.#identities.resources.get(resource);
      const values = new Map(this.#attributeList(attributes).map(({ key, value }) => [key, value]));
      const namespace = values.get("service.namespace");
      const name = values.get("service.name") ?? "";
      const job = namespace === undefined ? name : `${namespace}/${name}`;
      const all: Label[] = [
        ["job", job],
        ["instance", values.get("service.instance.id") ?? ""],
      ];
      labels = all.filter(([label, value]) => value !== "" && (label !== "job" || name !== ""));
      this.#resources.set(resource, labels);
    }
    return labels;
  }

  #addExternal(labels: Map<string, string>, rules: LabelNameRules): void {
    for (const [key, value] of Object.entries(this.#options.externalLabels)) {
      // External labels are named like series labels even where target_info is not.
      const name = labelName(key, rules === targetInfoLabelRules ? this.#rules : rules);
      if (name !== undefined && value !== "" && !labels.has(name)) labels.set(name, value);
    }
  }

  #scopeLabels(scope: number): readonly Label[] {
    let labels = this.#scopes.get(scope);
    if (labels === undefined) {
      const { name, version, attributes } = this.#identities.scopes.get(scope);
      const all = new Map<string, string>();
      for (const { key, value } of this.#attributeList(attributes)) {
        const label = /^(?:name|version|schema_url)$/.test(key) ? undefined : labelName(scopePrefix + key, this.#rules);
        if (label !== undefined && value !== "") all.set(label, value);
      }
      if (name !== "") all.set(`${scopePrefix}name`, name);
      if (version !== "") all.set(`${scopePrefix}version`, version);
      labels = [...all];
      this.#scopes.set(scope, labels);
    }
    return labels;
  }
}

/** Adds attributes in the order of their keys; false when one makes no label name. Colliding values are joined by `;`. */
function addAttributes(labels: Map<string, string>, attributes: readonly AttributeLabel[]): boolean {
  for (const { name, value } of attributes) {
    if (name === undefined) return false;
    if (value === "") continue;
    const known = labels.get(name);
    if (known === undefined) labels.set(name, value);
    else if (known !== value) labels.set(name, `${known};${value}`);
  }
  return true;
}
