/** What a target's page says of its metric families: types, help texts and units, kept a while after they disappear. */

import type { Identities } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import type { FamilyType } from "../../model/series.ts";

export interface FamilyMetadata {
  readonly type: FamilyType;
  readonly help: string;
  readonly unit: string;
}

/** Families beyond twice those of the last whole reading are kept up to this number before all are read again. */
const spareFamilies = 1000;
/** Family suffixes, in the order in which the first that matches is cut (Prometheus receiver, "Family and type resolution"). */
const suffixes = ["_bucket", "_count", "_sum", "_total", "_info", "_created", "_gcount", "_gsum"];

const unset: FamilyMetadata = { type: "unknown", help: "", unit: "" };

export class TargetMetadata {
  readonly #identities: Identities;
  #families = new Map<string, FamilyMetadata>();
  /** Grows whenever something that a Family holds has changed. */
  version = 0;
  /** Families after the last page that was read from its first line to its last. */
  #declared = 0;
  /** How to take back what the page under way has changed. */
  #before = { version: 0, families: this.#families, isContradictory: false };
  #isContradictory = false;
  /** Families that the page under way is the first to mention. */
  readonly #created = new Set<string>();
  /** What the last page that failed was the first to declare. */
  #failed = new Map<string, FamilyMetadata>();
  readonly #undo: { name: string; family: FamilyMetadata | undefined }[] = [];

  constructor(identities: Identities) {
    this.#identities = identities;
  }

  get families(): ReadonlyMap<string, FamilyMetadata> {
    return this.#families;
  }

  /** Many families are kept that pages may no longer mention: the next page should be read from its first line to its last. */
  get wantsWholePage(): boolean {
    return this.#families.size > 2 * this.#declared + spareFamilies;
  }

  /**
   * What was known of a family has changed: an earlier or later line of the same page may declare it otherwise, and
   * the last one counts. Until a page is read in which nothing changes, only whole readings are right.
   */
  get isContradictory(): boolean {
    return this.#isContradictory;
  }

  /** Begins a page. */
  beginPage(): void {
    const { version, wantsWholePage } = this;
    this.#before = { version, families: this.#families, isContradictory: this.#isContradictory };
    this.#isContradictory = false;
    this.#created.clear();
    this.#undo.length = 0;
    if (!wantsWholePage) return;
    this.#families = new Map();
    this.version++;
  }

  /** The page was accepted. */
  endPage(): void {
    if (this.#families !== this.#before.families) this.#declared = this.#families.size;
    this.#undo.length = 0;
  }

  /** Families known at all: those of the last pages, and those that only a page which failed has declared. */
  *declared(): Iterable<[string, FamilyMetadata]> {
    yield* this.#families;
    for (const [name, family] of this.#failed) if (!this.#families.has(name)) yield [name, family];
  }

  /** Nothing of the page stays, but for what it alone declared. */
  rollback(): void {
    this.#failed = new Map();
    for (const name of this.#created) {
      const family = this.#families.get(name);
      if (family !== undefined) this.#failed.set(name, family);
    }
    this.#families = this.#before.families;
    this.version = this.#before.version;
    this.#isContradictory = this.#before.isContradictory;
    for (const { name, family } of this.#undo.reverse()) {
      if (family === undefined) this.#families.delete(name);
      else this.#families.set(name, family);
    }
    this.#undo.length = 0;
  }

  set(name: string, part: "type" | "help" | "unit", text: string): void {
    const old = this.#families.get(name);
    const value = part === "type" ? familyType(text) : text;
    if (old !== undefined && old[part] === value) return;
    if (old === undefined) this.#created.add(name);
    else if (!this.#created.has(name) || old[part] !== unset[part]) this.#isContradictory = true;
    if (this.#families === this.#before.families) this.#undo.push({ name, family: old });
    this.#families.set(name, { ...unset, ...old, [part]: value });
    this.version++;
  }

  /** The number of the Family of an exposed metric name, or `none` when nothing was declared for it. */
  familyOf(exposedName: string): number {
    let name = exposedName;
    let family = this.#families.get(name);
    if (family === undefined) {
      const suffix = suffixes.find((end) => exposedName.endsWith(end));
      if (suffix === undefined) return none;
      name = exposedName.slice(0, -suffix.length);
      family = this.#families.get(name);
      if (family === undefined) return none;
    }
    const { type, help, unit } = family;
    return this.#identities.internFamily({ name, exposedName, type, help, unit });
  }
}

function familyType(word: string): FamilyType {
  return word === "untyped" ? "unknown" : (word as FamilyType);
}
