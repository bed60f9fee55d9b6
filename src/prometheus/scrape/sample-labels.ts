/** From the labels of a line to the label set of a series: target labels, conflicts, metric relabeling, limits. */

import type { Identities, Label } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import type { LabelsBuilder } from "../relabel/labels-builder.ts";
import type { RelabelProgram } from "../relabel/relabel.ts";

/** Limits on the labels of one series; 0 means none. Lengths are bytes. */
export interface LabelLimits {
  readonly labels: number;
  readonly nameLength: number;
  readonly valueLength: number;
}

/** A scrape that fails as a whole because of what a series of it looks like. */
export class ScrapeError extends Error {
  /** Which counter hears of it. */
  readonly reason: "label_limit" | "sample_limit" | "parse" | "invalid_series" | "own_limit";

  constructor(reason: ScrapeError["reason"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ScrapeError";
    this.reason = reason;
  }
}

export interface SampleLabelsOptions {
  /** Public labels of the target. */
  readonly targetLabels: readonly Label[];
  readonly honorLabels: boolean;
  readonly relabel: RelabelProgram | undefined;
  readonly limits: LabelLimits;
  /** Set on every series, over labels that exist (the Collector's receiver does so; an agent adds them on egress). */
  readonly externalLabels: readonly Label[];
  readonly isValidMetricName: (name: string) => boolean;
  readonly isValidLabelName: (name: string) => boolean;
}

/** Stands for the values of a line, followed by which one. */
const mark = "\0";

/** Assembles label sets for one target. */
export class SampleLabels {
  readonly #options: SampleLabelsOptions;
  readonly #identities: Identities;
  readonly #builder: LabelsBuilder;

  constructor(identities: Identities, builder: LabelsBuilder, options: SampleLabelsOptions) {
    this.#identities = identities;
    this.#builder = builder;
    this.#options = options;
  }

  /**
   * The label set of a line with these labels, or `none` when metric relabeling drops it.
   * Throws ScrapeError when the series has no valid name, names a label twice, or breaks a limit.
   */
  resolve(labels: readonly Label[]): number {
    const builder = this.#builder;
    const { relabel, externalLabels, isValidMetricName, isValidLabelName } = this.#options;
    this.#merge(labels);
    if (relabel !== undefined && !relabel.apply(builder)) return none;
    if (builder.size === 0) return none;
    for (const [name, value] of externalLabels) builder.set(name, value);
    const name = builder.get("__name__");
    if (name === "") throw new ScrapeError("invalid_series", "a series has no metric name after relabeling");
    if (!isValidMetricName(name)) {
      throw new ScrapeError("invalid_series", `invalid metric name ${JSON.stringify(name.slice(0, 200))}`);
    }
    const sorted = builder.sortedEntries();
    for (const [label] of sorted) {
      if (!isValidLabelName(label)) {
        throw new ScrapeError("invalid_series", `invalid label name ${JSON.stringify(label.slice(0, 200))}`);
      }
    }
    this.#checkLimits(sorted);
    return this.#identities.internLabels(sorted);
  }

  get limits(): LabelLimits {
    return this.#options.limits;
  }

  /** Whether no rule looks at values, so that `arrange` may tell what becomes of labels. */
  get dependsOnNames(): boolean {
    return this.#options.relabel === undefined;
  }

  isValidName(name: string): boolean {
    return name !== "" && this.#options.isValidMetricName(name);
  }

  /**
   * What `resolve` makes of labels with these names in this order, `__name__` first, whatever their values are as long as none is
   * empty, longer than the limit or an invalid name: the labels of the set in its order, each with the index of the label its
   * value comes from, or -1 and its value. Undefined where that cannot be told from the names, or where `resolve` would throw.
   * A value that the set does not have matters too, since an empty one leaves its name to others: undefined there as well.
   */
  arrange(names: readonly string[]): { name: string; source: number; value: string }[] | undefined {
    const { externalLabels, targetLabels, isValidLabelName } = this.#options;
    if (!this.dependsOnNames || [...targetLabels, ...externalLabels].some(([, value]) => value.startsWith(mark))) {
      return undefined;
    }
    try {
      this.#merge(names.map((name, source) => [name, `${mark}${source}`]));
      for (const [name, value] of externalLabels) this.#builder.set(name, value);
      const sorted = this.#builder.sortedEntries();
      this.#checkLimits(sorted.map(([name, value]) => [name, value.startsWith(mark) ? "" : value]));
      if (this.#builder.get("__name__") !== `${mark}0`) return undefined;
      if (!sorted.every(([name]) => isValidLabelName(name))) return undefined;
      if (sorted.filter(([, value]) => value.startsWith(mark)).length < names.length) return undefined;
      return sorted.map(([name, value]) =>
        value.startsWith(mark)
          ? { name, source: Number(value.slice(mark.length)), value: "" }
          : { name, source: -1, value },
      );
    } catch (error) {
      if (error instanceof ScrapeError) return undefined;
      throw error;
    }
  }

  /** Parsed labels and target labels, conflicts solved by `honor_labels`. */
  #merge(labels: readonly Label[]): void {
    const builder = this.#builder;
    const { targetLabels, honorLabels } = this.#options;
    const exposed = new Set<string>();
    for (const [name] of labels) {
      if (exposed.has(name)) {
        throw new ScrapeError("invalid_series", `label name ${JSON.stringify(name)} is not unique in a series`);
      }
      exposed.add(name);
    }
    builder.reset(labels);
    if (honorLabels) {
      for (const [name, value] of targetLabels) if (!exposed.has(name)) builder.set(name, value);
      return;
    }
    const conflicts: [string, string][] = [];
    for (const [name, value] of targetLabels) {
      const old = builder.get(name);
      if (old !== "") conflicts.push([name, old]);
      builder.set(name, value);
    }
    if (conflicts.length === 0) return;
    const targetNames = new Set(targetLabels.map(([name]) => name));
    conflicts.sort((a, b) => a[0].length - b[0].length);
    for (const [name, value] of conflicts) {
      let exported = `exported_${name}`;
      while (builder.get(exported) !== "" || targetNames.has(exported)) exported = `exported_${exported}`;
      builder.set(exported, value);
    }
  }

  #checkLimits(sorted: readonly Label[]): void {
    const { labels, nameLength, valueLength } = this.#options.limits;
    if (labels > 0 && sorted.length > labels) {
      throw new ScrapeError(
        "label_limit",
        `label_limit exceeded (number of labels: ${sorted.length}, limit: ${labels})`,
      );
    }
    if (nameLength === 0 && valueLength === 0) return;
    for (const [name, value] of sorted) {
      const nameBytes = Buffer.byteLength(name);
      if (nameLength > 0 && nameBytes > nameLength) {
        throw new ScrapeError(
          "label_limit",
          `label_name_length_limit exceeded (label name: ${name.slice(0, 50)}, length: ${nameBytes}, limit: ${nameLength})`,
        );
      }
      const valueBytes = Buffer.byteLength(value);
      if (valueLength > 0 && valueBytes > valueLength) {
        throw new ScrapeError(
          "label_limit",
          `label_value_length_limit exceeded (label name: ${name}, length: ${valueBytes}, limit: ${valueLength})`,
        );
      }
    }
  }
}
