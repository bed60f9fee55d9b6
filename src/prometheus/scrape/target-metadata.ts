/** What a target's page says of its metric families: types, help texts and units, kept a while after they disappear. */

import type { Identities } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import type { FamilyType } from "../../model/series.ts";

export interface FamilyMetadata {
  type: FamilyType;
  help: string;
  unit: string;
  /** The scrape that mentioned the family last. */
  lastSeen: number;
}

/** Scrapes that metadata outlives its last mention (Prometheus keeps ten). */
const keptScrapes = 10;
/** Family suffixes, in the order in which the first that matches is cut (Prometheus receiver, "Family and type resolution"). */
const suffixes = ["_bucket", "_count", "_sum", "_total", "_info", "_created", "_gcount", "_gsum"];

export class TargetMetadata {
  readonly #identities: Identities;
  readonly #families = new Map<string, FamilyMetadata>();
  /** Grows whenever something that a Family holds has changed. */
  version = 0;
  #scrape = 0;

  constructor(identities: Identities) {
    this.#identities = identities;
  }

  get families(): ReadonlyMap<string, FamilyMetadata> {
    return this.#families;
  }

  /** Begins a page whose comments will be read (at least in part). */
  beginPage(): void {
    this.#scrape++;
  }

  set(name: string, part: "type" | "help" | "unit", text: string): void {
    let family = this.#families.get(name);
    if (family === undefined) {
      family = { type: "unknown", help: "", unit: "", lastSeen: this.#scrape };
      this.#families.set(name, family);
      this.version++;
    }
    family.lastSeen = this.#scrape;
    const value = part === "type" ? familyType(text) : text;
    if (family[part] === value) return;
    if (part === "type") family.type = familyType(text);
    else family[part] = text;
    this.version++;
  }

  /** Called when a page was read from its first line to its last: forgets what no page has mentioned for long. */
  forgetOld(): void {
    for (const [name, family] of this.#families) {
      if (this.#scrape - family.lastSeen > keptScrapes) this.#families.delete(name);
    }
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
