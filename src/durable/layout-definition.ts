/** The bytes of a samples layout: label pairs, label sets and families, each once; named by a digest of themselves. */

import { createHash } from "node:crypto";
import { ByteWriter } from "../kernels/byte-writer.ts";
import { DecodeError } from "../model/errors.ts";
import type { Identities } from "../model/identities.ts";
import { none } from "../model/intern-table.ts";
import { type Origin, SamplesLayout } from "../model/layout.ts";
import type { Family, FamilyType } from "../model/series.ts";
import { PayloadReader } from "./payload-reader.ts";
import { compressAll, decompress } from "./zstd.ts";

/** A definition as it stands in a segment. */
export interface LayoutDefinition {
  /** The first 16 bytes of the SHA-256 of the uncompressed definition, in hex. */
  readonly name: string;
  readonly content: Uint8Array;
}

const familyTypes: readonly FamilyType[] = [
  "unknown",
  "counter",
  "gauge",
  "histogram",
  "gaugehistogram",
  "summary",
  "info",
  "stateset",
];
/** No definition is larger uncompressed: what claims to be is damage. */
const maxPlainBytes = 1 << 30;

/** Throws RangeError for a layout without labels: those are made before a queue. */
export function encodeLayout(layout: SamplesLayout): LayoutDefinition {
  const { labels, families, identities } = layout;
  if (labels === undefined) throw new RangeError("a layout without labels cannot be written to disk");
  const pairs = new Map<number, number>();
  const familyNumbers = new Map<number, number>();
  const rows = new ByteWriter(layout.length * 8 + 64);
  for (let row = 0; row < labels.length; row++) {
    const set = labels[row] as number;
    const list = set === none ? [] : identities.labelSets.view(set);
    rows.varint(list.length);
    for (const pair of list) rows.varint(numberOf(pairs, pair));
    const family = families[row] as number;
    rows.varint(family === none ? 0 : numberOf(familyNumbers, family) + 1);
  }
  const writer = new ByteWriter(rows.length * 2 + 1024);
  writer.varint(pairs.size);
  for (const pair of pairs.keys()) {
    const bytes = identities.labelPairs.view(pair);
    writer.varint(bytes.length);
    writer.raw(bytes);
  }
  writer.varint(familyNumbers.size);
  for (const family of familyNumbers.keys()) writeFamily(writer, identities.families.get(family));
  writer.varint(layout.length);
  writer.raw(rows.view());
  const plain = writer.view();
  return { name: nameOf(plain), content: compressAll(plain) };
}

function nameOf(plain: Uint8Array): string {
  return createHash("sha256").update(plain).digest("hex").slice(0, 32);
}

function numberOf(numbers: Map<number, number>, id: number): number {
  const known = numbers.get(id);
  if (known !== undefined) return known;
  numbers.set(id, numbers.size);
  return numbers.size - 1;
}

function writeFamily(writer: ByteWriter, family: Family): void {
  writer.varint(familyTypes.indexOf(family.type));
  for (const text of [family.name, family.exposedName, family.help, family.unit]) {
    const bytes = Buffer.from(text);
    writer.varint(bytes.length);
    writer.raw(bytes);
  }
}

/** The layout, interned. Throws DecodeError when the bytes are not what their name says. */
export function decodeLayout(definition: LayoutDefinition, identities: Identities, origin: Origin): SamplesLayout {
  const plain = plainOf(definition.content);
  if (nameOf(plain) !== definition.name) throw new DecodeError("layout", 0, "bytes that their name does not fit");
  const reader = new PayloadReader(plain, "layout");
  const pairs = new Uint32Array(reader.count());
  for (let i = 0; i < pairs.length; i++) pairs[i] = identities.labelPairs.intern(reader.bytes(reader.varint()));
  const families = new Uint32Array(reader.count());
  for (let i = 0; i < families.length; i++) families[i] = identities.internFamily(readFamily(reader));
  const rows = reader.count();
  const labels = new Uint32Array(rows);
  const ofRows = new Uint32Array(rows);
  let list = new Uint32Array(64);
  for (let row = 0; row < rows; row++) {
    const length = reader.count();
    if (length > list.length) list = new Uint32Array(length * 2);
    let weight = 0;
    for (let i = 0; i < length; i++) {
      const pair = pairs[reader.varint()];
      if (pair === undefined) throw new DecodeError("layout", reader.at, "a label that is not defined");
      list[i] = pair;
      weight += identities.labelPairs.lengths[pair] as number;
    }
    if (length > 0) labels[row] = identities.labelSets.intern(list, length, weight);
    const family = reader.varint();
    if (family > families.length) throw new DecodeError("layout", reader.at, "a family that is not defined");
    ofRows[row] = family === 0 ? none : (families[family - 1] as number);
  }
  return new SamplesLayout(identities, { labels, families: ofRows }, origin);
}

function plainOf(content: Uint8Array): Buffer {
  try {
    return decompress(content, maxPlainBytes);
  } catch (caught) {
    throw new DecodeError("layout", 0, "bytes that cannot be decompressed", { cause: caught });
  }
}

function readFamily(reader: PayloadReader): Family {
  const type = familyTypes[reader.varint()] ?? "unknown";
  const [name = "", exposedName = "", help = "", unit = ""] = Array.from({ length: 4 }, () => reader.text());
  return { name, exposedName, type, help, unit };
}
