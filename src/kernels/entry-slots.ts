/** An open-addressing table from the hash of a line or comment block to its entry in a page template. */

import type { PageTemplate } from "./page-scan.ts";

/** Slots hold an entry plus one, or 0. Of entries with one hash the first is found. */
export function buildEntryIndex(template: Pick<PageTemplate, "hashes">): Uint32Array {
  const { hashes } = template;
  const entries = hashes.length / 2;
  let size = 16;
  while (size < entries * 2) size *= 2;
  const slots = new Uint32Array(size);
  const mask = size - 1;
  for (let entry = 0; entry < entries; entry++) {
    const low = hashes[entry * 2] as number;
    const high = hashes[entry * 2 + 1] as number;
    let slot = low & mask;
    for (let other = slots[slot] as number; other !== 0; other = slots[slot] as number) {
      if (hashes[other * 2 - 2] === low && hashes[other * 2 - 1] === high) break;
      slot = (slot + 1) & mask;
    }
    if (slots[slot] === 0) slots[slot] = entry + 1;
  }
  return slots;
}

/** The entry with this hash, or -1. */
export function findEntry(hashes: Uint32Array, slots: Uint32Array, low: number, high: number): number {
  const mask = slots.length - 1;
  for (let slot = low & mask; ; slot = (slot + 1) & mask) {
    const entry = (slots[slot] as number) - 1;
    if (entry < 0 || (hashes[entry * 2] === low && hashes[entry * 2 + 1] === high)) return entry;
  }
}

/** Slots that are looked at to find each entry, on average: what a lookup costs, whatever the texts were. */
export function meanProbes(hashes: Uint32Array, slots: Uint32Array): number {
  const mask = slots.length - 1;
  let probes = 0;
  let entries = 0;
  for (const [slot, value] of slots.entries()) {
    if (value === 0) continue;
    probes += 1 + ((slot - ((hashes[value * 2 - 2] as number) & mask)) & mask);
    entries++;
  }
  return entries === 0 ? 0 : probes / entries;
}
