/**
 * What a target's page says of its metric families: types, help texts and units, kept a while after they disappear. A row
 * has what stood above it, else what the page before said, as in Prometheus' scrape cache.
 */

import type { Identities } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import type { Family, FamilyType } from "../../model/series.ts";

export interface FamilyMetadata {
  readonly type: FamilyType;
  readonly help: string;
  readonly unit: string;
}

/** A family that pages no longer declare is known for so many scrapes, as in Prometheus' cache. */
const scrapesKept = 10;
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
  /** Parts that the page under way has declared, also as empty texts. */
  readonly #parts = new Set<string>();
  /** What the last page that failed was the first to declare. */
  #failed = new Map<string, FamilyMetadata>();
  readonly #undo: { name: string; family: FamilyMetadata | undefined }[] = [];
  /**
   * Families of rows of the page under way, by exposed name: the first row with a name decides. No numbers: a sweep of the
   * tables between two steps of a page takes back those that no layout names yet.
   */
  readonly #used = new Map<string, Family | undefined>();
  /** What rows of the page under way had of a declared name, or undefined when they looked for it in vain. */
  readonly #usedFamilies = new Map<string, FamilyMetadata | undefined>();
  /** Names that were declared otherwise below rows that had used them. */
  readonly #late = new Set<string>();
  #isLate = false;
  /** What the page under way declares, as far as anybody said. */
  readonly #names = new Set<string>();
  #areNamesKnown = false;
  #scrapes = 0;
  /** The number of the last scrape whose page was accepted. */
  #accepted = 0;
  /** Families that pages no longer declare, each with the number of the last scrape that did, which only grows. */
  readonly #gone = new Map<string, number>();
  #lastUsed = "";

  constructor(identities: Identities) {
    this.#identities = identities;
  }

  get families(): ReadonlyMap<string, FamilyMetadata> {
    return this.#families;
  }

  /**
   * The next page should be read from its first line to its last: many families are kept that pages may no longer
   * mention, rows stood above lines that declare them and have what those lines say from the next page on, or families
   * were forgotten.
   */
  get wantsWholePage(): boolean {
    return this.#isLate || this.#isCrowded;
  }

  get #isCrowded(): boolean {
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
    const { version } = this;
    const isCrowded = this.#isCrowded;
    this.#before = { version, families: this.#families, isContradictory: this.#isContradictory };
    this.#isContradictory = false;
    this.#created.clear();
    this.#parts.clear();
    this.#names.clear();
    this.#areNamesKnown = false;
    this.#undo.length = 0;
    this.#forgetUses();
    if (!isCrowded) return;
    this.#families = new Map();
    this.version++;
  }

  /** The page was accepted. */
  endPage(): void {
    if (this.#families !== this.#before.families) {
      this.#declared = this.#families.size;
      this.#gone.clear();
    }
    this.#isLate = this.#late.size > 0 && this.#hasLateChange();
    if (this.#late.size > 0) {
      // A page that differs is read whole, and finds the families of all rows anew.
      this.#isContradictory = true;
      this.version++;
    }
    if (this.#areNamesKnown) this.#noteGone();
    this.#undo.length = 0;
    this.#forgetUses();
    this.countPage();
  }

  /** To be told of families that the page declares and `set` does not hear of. */
  declare(name: string): void {
    this.#names.add(name);
  }

  /** `set` and `declare` know all families that the page declares. Without it they are those of the page before. */
  endDeclarations(): void {
    this.#areNamesKnown = true;
  }

  #noteGone(): void {
    for (const name of this.#families.keys()) {
      if (this.#names.has(name)) this.#gone.delete(name);
      else if (!this.#gone.has(name)) this.#gone.set(name, this.#accepted);
    }
  }

  /** Counts a scrape that brought no page or an empty one. */
  countMissing(): void {
    this.#scrapes++;
  }

  /** Counts a page that failed: what it declared before its fault is known for longer, as in Prometheus. */
  countFailed(): void {
    this.#scrapes++;
    for (const name of this.#names) if (this.#gone.delete(name)) this.#gone.set(name, this.#scrapes);
  }

  /** Counts an accepted page, also one that is as the page before, and forgets what was not declared for long. */
  countPage(): void {
    this.#accepted = ++this.#scrapes;
    if (this.#gone.size === 0) return;
    for (const [name, scrape] of this.#gone) {
      if (this.#scrapes - scrape <= scrapesKept) return;
      this.#gone.delete(name);
      this.#families.delete(name);
      this.version++;
      this.#isLate = true;
    }
  }

  /** Whether the page that was read says more about late names than its predecessor did: then its rows will have more, too. */
  #hasLateChange(): boolean {
    if (this.#families !== this.#before.families) return true;
    const first = new Map(this.#undo.toReversed().map(({ name, family }) => [name, family]));
    return [...this.#late].some((name) => !areEqual(first.get(name), this.#families.get(name)));
  }

  #forgetUses(): void {
    this.#used.clear();
    this.#usedFamilies.clear();
    this.#late.clear();
    this.#lastUsed = "";
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
    this.#forgetUses();
  }

  set(name: string, part: "type" | "help" | "unit", text: string): void {
    this.#names.add(name);
    const old = this.#families.get(name);
    const value = part === "type" ? familyType(text) : text;
    const isAgain = this.#parts.has(`${part} ${name}`);
    this.#parts.add(`${part} ${name}`);
    if (old !== undefined && old[part] === value) return;
    if (old === undefined) this.#created.add(name);
    else if (!this.#created.has(name) || isAgain) this.#isContradictory = true;
    if (this.#families === this.#before.families) this.#undo.push({ name, family: old });
    this.#families.set(name, { ...unset, ...old, [part]: value });
    this.version++;
    if (this.#usedFamilies.has(name)) this.#late.add(name);
  }

  /** To be told of the exposed names of the page's rows in their order; returns the name. */
  use(name: string): string {
    if (name === this.#lastUsed || this.#used.has(name)) return name;
    this.#lastUsed = name;
    this.#used.set(
      name,
      this.#lookUp(name, (declared) => this.#use(declared)),
    );
    return name;
  }

  #use(declared: string): FamilyMetadata | undefined {
    const known = this.#usedFamilies.get(declared);
    if (known !== undefined) return known;
    const family = this.#families.get(declared);
    this.#usedFamilies.set(declared, family);
    return family;
  }

  /** The number of the Family of an exposed metric name, or `none` when nothing was declared for it. */
  familyOf(exposedName: string): number {
    const family = this.#used.has(exposedName)
      ? this.#used.get(exposedName)
      : this.#lookUp(exposedName, (declared) => this.#families.get(declared));
    return family === undefined ? none : this.#identities.internFamily(family);
  }

  #lookUp(exposedName: string, find: (declared: string) => FamilyMetadata | undefined): Family | undefined {
    let name = exposedName;
    let family = find(name);
    if (family === undefined) {
      const suffix = suffixes.find((end) => exposedName.endsWith(end));
      if (suffix === undefined) return undefined;
      name = exposedName.slice(0, -suffix.length);
      family = find(name);
      if (family === undefined) return undefined;
    }
    const { type, help, unit } = family;
    return { name, exposedName, type, help, unit };
  }
}

function areEqual(a: FamilyMetadata | undefined, b: FamilyMetadata | undefined): boolean {
  return a?.type === b?.type && a?.help === b?.help && a?.unit === b?.unit;
}

function familyType(word: string): FamilyType {
  return word === "untyped" ? "unknown" : (word as FamilyType);
}
