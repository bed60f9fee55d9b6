/** Finds the label sets of new lines from their bytes: in a run of lines with the same names no text is made of labels. */

import type { ExpositionParser } from "../../codec/exposition/parser.ts";
import type { Identities } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import type { SampleLabels } from "./sample-labels.ts";

/** Orders of names that are remembered of a page: families with different labels may take turns. */
const maxArrangements = 16;
/** Bounds of buckets and quantiles that are remembered for an order of names. */
const maxRewritten = 1024;
/** Of a label set that has to be found from texts. */
const unknown = -1;

/** Where the labels of lines with the same names go. Places are those of a line of the page under way. */
interface Arrangement {
  /** Start and end of each name in the page, in page order. */
  readonly names: readonly number[];
  /** Undefined where the order depends on more than the names. */
  readonly slots: readonly Slot[] | undefined;
  /** Slots of the labels `le` and `quantile` of the page, or -1. */
  readonly le: number;
  readonly quantile: number;
}

/** One label of the set, in the order of the set. */
interface Slot {
  readonly name: Buffer;
  /** Which label of the page its value is: 0 is the metric name; -1 where the value is not of the page. */
  readonly source: number;
  /** Number of the pair with the value of the last line, which stood there in the page. */
  pair: number;
  start: number;
  end: number;
  /** Pairs by values as they stand in the page behind their quote, where those are written otherwise in the set. */
  readonly rewritten: Map<string, number>;
}

/** For one target. What it remembers is of the page under way. */
export class LineLabels {
  readonly #identities: Identities;
  readonly #labels: SampleLabels;
  #arrangements: Arrangement[] = [];
  #last = 0;
  /** Names of the last line that none of the arrangements has. */
  #otherNames: readonly number[] | undefined;
  #sweeps = 0;
  #list = new Uint32Array(16);

  constructor(identities: Identities, labels: SampleLabels) {
    this.#identities = identities;
    this.#labels = labels;
  }

  /** Forgets the page. */
  clear(): void {
    this.#arrangements = [];
    this.#last = 0;
    this.#otherNames = undefined;
  }

  /** What `SampleLabels.resolve` says of the parser's series, which stands in `page`. Throws ScrapeError as it does. */
  resolve(parser: ExpositionParser, page: Buffer): number {
    const labels = this.#labels;
    if (!labels.dependsOnNames) return labels.resolve(parser.labels());
    if (this.#sweeps !== this.#identities.sweeps) {
      // Pairs that no label set names have been given back.
      this.clear();
      this.#sweeps = this.#identities.sweeps;
    }
    const arrangement = this.#arrangementOf(parser, page);
    const set = arrangement === undefined ? unknown : this.#find(arrangement, parser, page);
    return set === unknown ? labels.resolve(parser.labels()) : set;
  }

  #arrangementOf(parser: ExpositionParser, page: Buffer): Arrangement | undefined {
    const known = this.#arrangements;
    for (let i = 0; i < known.length; i++) {
      const at = (this.#last + i) % known.length;
      const arrangement = known[at] as Arrangement;
      if (!hasNames(arrangement.names, parser, page)) continue;
      this.#last = at;
      return arrangement;
    }
    // One line is not worth it: with changing names all this would cost more than it saves.
    if (this.#otherNames !== undefined && hasNames(this.#otherNames, parser, page)) return this.#learn(parser);
    this.#otherNames = namesOf(parser);
    return undefined;
  }

  #learn(parser: ExpositionParser): Arrangement {
    const names = parser.labels().map(([name]) => name);
    const places = this.#labels.arrange(names);
    const slots = places?.map(({ name, source, value }): Slot => {
      const pair = source < 0 ? this.#identities.internLabelPair(name, value) : none;
      return { name: Buffer.from(name), source, pair, start: 0, end: 0, rewritten: new Map() };
    });
    const slotOf = (name: string) => {
      const source = names.indexOf(name);
      return source < 0 || slots === undefined ? -1 : slots.findIndex((slot) => slot.source === source);
    };
    const arrangement = { names: namesOf(parser), slots, le: slotOf("le"), quantile: slotOf("quantile") };
    if (this.#arrangements.length === maxArrangements) this.#arrangements.shift();
    this.#last = this.#arrangements.push(arrangement) - 1;
    return arrangement;
  }

  /** The label set with the values of the line, or `unknown`. */
  #find({ slots, le, quantile }: Arrangement, parser: ExpositionParser, page: Buffer): number {
    if (slots === undefined) return unknown;
    const { labelPairs, labelSets } = this.#identities;
    if (this.#list.length < slots.length) this.#list = new Uint32Array(slots.length * 2);
    const rewritten = parser.state === "histogram" ? le : parser.state === "summary" ? quantile : -1;
    let weight = 0;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i] as Slot;
      let { pair } = slot;
      if (i === rewritten) pair = this.#rewrittenPair(slot, parser, page);
      else if (slot.source >= 0) pair = this.#pair(slot, parser, page);
      if (pair === none) return unknown;
      this.#list[i] = pair;
      weight += labelPairs.lengths[pair] as number;
    }
    return labelSets.intern(this.#list, slots.length, weight);
  }

  /** The pair with the value of the line, or `none` where it has to be looked at as a text. */
  #pair(slot: Slot, parser: ExpositionParser, page: Buffer): number {
    const { source } = slot;
    const bounds = parser.labelBounds;
    const start = source === 0 ? parser.nameStart : (bounds[source * 4 - 2] as number);
    const end = source === 0 ? parser.nameEnd : (bounds[source * 4 - 1] as number);
    if (slot.pair !== none && isSame(page, slot.start, slot.end, start, end)) return slot.pair;
    if (!this.#isPlain(page, start, end)) return none;
    if (source === 0 && !this.#labels.isValidName(parser.seriesName)) return none;
    slot.pair = this.#identities.internLabelBytes(slot.name, page, start, end);
    slot.start = start;
    slot.end = end;
    return slot.pair;
  }

  /** The same for a bound, which the parser writes in its own way. */
  #rewrittenPair(slot: Slot, parser: ExpositionParser, page: Buffer): number {
    const start = parser.labelBounds[slot.source * 4 - 2] as number;
    const end = parser.labelBounds[slot.source * 4 - 1] as number;
    if (!this.#isPlain(page, start, end) || this.#labels.limits.valueLength > 0) return none;
    // With the quote before it: texts of digits alone are their own hash to some versions of V8.
    const text = page.toString("latin1", start - 1, end);
    let pair = slot.rewritten.get(text);
    if (pair !== undefined) return pair;
    const value = parser.labels()[slot.source]?.[1] ?? "";
    if (value === "") return none;
    pair = this.#identities.internLabelPair(slot.name.toString(), value);
    if (slot.rewritten.size >= maxRewritten) slot.rewritten.clear();
    slot.rewritten.set(text, pair);
    return pair;
  }

  /** Whether a value is neither empty nor too long, and stands in the page as in the set. */
  #isPlain(page: Buffer, start: number, end: number): boolean {
    const { valueLength } = this.#labels.limits;
    if (end === start || (valueLength > 0 && end - start > valueLength)) return false;
    for (let at = start; at < end; at++) if (page[at] === backslash) return false;
    return true;
  }
}

const backslash = 0x5c;

/** Start and end of the names of the labels. */
function namesOf({ labelBounds, labelCount }: ExpositionParser): number[] {
  const names: number[] = [];
  for (let i = 0; i < (labelCount - 1) * 4; i += 4) names.push(labelBounds[i] as number, labelBounds[i + 1] as number);
  return names;
}

function hasNames(names: readonly number[], { labelBounds, labelCount }: ExpositionParser, page: Buffer): boolean {
  if (names.length !== (labelCount - 1) * 2) return false;
  for (let i = 0; i < names.length; i += 2) {
    const start = labelBounds[i * 2] as number;
    const end = labelBounds[i * 2 + 1] as number;
    if (!isSame(page, names[i] as number, names[i + 1] as number, start, end)) return false;
  }
  return true;
}

function isSame(page: Buffer, start: number, end: number, otherStart: number, otherEnd: number): boolean {
  if (end - start !== otherEnd - otherStart) return false;
  for (let a = start, b = otherStart; a < end; a++, b++) if (page[a] !== page[b]) return false;
  return true;
}
