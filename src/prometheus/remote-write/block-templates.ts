/** Remembers, per layout, what its rows look like in a compressed request. */

import {
  type EncodeTarget,
  encodeSamples,
  type LabelColumns,
  sampleOverheadBytes,
} from "../../kernels/encode-remote-write.ts";
import {
  byteKind,
  rowEdge,
  type SnappyTemplate,
  SnappyTemplateBuilder,
  timeBytes,
} from "../../kernels/snappy-template.ts";
import type { Layout, SamplesLayout } from "../../model/layout.ts";

/** Rows that are compressed together: the first one of a block has nothing to copy from. */
const maxBlockRows = 500;
/** Blocks with more bytes are not worth remembering: their label values are huge. */
const maxBlockBytes = 4 * 1024 * 1024;

/** A timestamp of the usual length whose bytes all differ, so that a copy never takes one of them for another. */
const placeholderMs = 1 + 2 * 2 ** 7 + 3 * 2 ** 14 + 4 * 2 ** 21 + 5 * 2 ** 28 + 38 * 2 ** 35;
/** Bytes of a row behind its labels: tag and length of the sample, the value with its tag, the time with its tag. */
const sampleBytes = 2 + 9 + 1 + timeBytes;

/** How often a block is encoded row by row before it is worth a template: making one costs as much as ten times that. */
const sendsBefore = 2;

/** A block that was sent more often than that; a number counts how often it was sent. */
interface Block {
  /** Undefined where there can be none. */
  readonly template: SnappyTemplate | undefined;
}

/** Templates of the layouts that are alive. */
export class BlockTemplates {
  /** Rows of a block; the last one of a layout may have fewer. */
  readonly blockRows: number;
  readonly #layouts = new WeakMap<SamplesLayout, (Block | number)[]>();
  readonly #builder = new SnappyTemplateBuilder();
  #plain: Buffer = Buffer.allocUnsafeSlow(0);
  #kinds = new Uint8Array(0);

  /** `maxRows` is what a request may hold: blocks are such that they fill it. */
  constructor(maxRows: number) {
    this.blockRows = Math.ceil(maxRows / Math.ceil(maxRows / maxBlockRows));
  }

  /** The template of the block that begins at a row of the layout (a multiple of `blockRows`), or undefined. */
  at(layout: SamplesLayout, row: number, columns: () => LabelColumns): SnappyTemplate | undefined {
    let blocks = this.#layouts.get(layout);
    if (blocks === undefined) {
      blocks = [];
      this.#layouts.set(layout, blocks);
    }
    const index = row / this.blockRows;
    while (blocks.length <= index) blocks.push(0);
    const block = blocks[index] ?? 0;
    if (typeof block === "object") return block.template;
    if (block < sendsBefore) {
      blocks[index] = block + 1;
      return undefined;
    }
    const labels = (layout.labels ?? new Uint32Array(0)).subarray(row, row + this.blockRows);
    const template = this.#build(labels, columns());
    blocks[index] = { template };
    return template;
  }

  /** Bytes of the templates that these layouts have. */
  bytesOf(layouts: Iterable<Layout>): number {
    let bytes = 0;
    for (const layout of layouts) {
      if (layout.form !== "samples") continue;
      for (const block of this.#layouts.get(layout) ?? []) {
        if (typeof block === "object" && block.template !== undefined) bytes += templateBytes(block.template);
      }
    }
    return bytes;
  }

  #build(labelSets: Uint32Array, columns: LabelColumns): SnappyTemplate | undefined {
    let bytes = sampleOverheadBytes;
    let pairs = 0;
    for (let row = 0; row < labelSets.length; row++) {
      const set = labelSets[row] as number;
      if (set === 0) return undefined;
      bytes += (columns.setWeights[set] as number) + sampleBytes + 6;
      pairs += (columns.setLengths[set] as number) + 1;
    }
    if (bytes > maxBlockBytes) return undefined;
    if (this.#plain.length < bytes) {
      this.#plain = Buffer.allocUnsafeSlow(bytes * 2);
      this.#kinds = new Uint8Array(bytes * 2);
    }
    const target: EncodeTarget = { bytes: this.#plain, view: new DataView(this.#plain.buffer), length: 0 };
    const rows = labelSets.length;
    const values = new Float64Array(rows).fill(1);
    const one = { values, stale: false, timestampMs: placeholderMs, timestampsMs: undefined };
    const valueStarts = new Uint32Array(rows);
    const pairStarts = new Uint32Array(pairs);
    const pairIds = new Uint32Array(pairs);
    let next = 0;
    const kinds = this.#kinds;
    for (let row = 0; row < rows; row++) {
      const set = labelSets[row] as number;
      const start = target.length;
      encodeSamples(columns, labelSets, one, row, row + 1, target);
      const end = target.length;
      const valueStart = end - timeBytes - 1 - 8;
      kinds.fill(byteKind.fixed, start, end);
      kinds.fill(byteKind.value, valueStart, valueStart + 8);
      kinds.fill(byteKind.time, end - timeBytes, end);
      valueStarts[row] = valueStart;
      if (row > 0) {
        pairStarts[next] = start - timeBytes - 1;
        pairIds[next++] = rowEdge;
      }
      let pairStart = end - sampleBytes - (columns.setWeights[set] as number);
      const first = columns.setOffsets[set] as number;
      for (let item = first; item < first + (columns.setLengths[set] as number); item++) {
        const pair = columns.setItems[item] as number;
        pairStarts[next] = pairStart;
        pairIds[next++] = pair;
        pairStart += columns.pairLengths[pair] as number;
      }
    }
    return this.#builder.build({
      plain: this.#plain,
      kinds,
      length: target.length,
      valueStarts,
      pairStarts: pairStarts.subarray(0, next),
      pairIds: pairIds.subarray(0, next),
    });
  }
}

function templateBytes({ bytes, pieceEnds, valueDistances, timeHoles }: SnappyTemplate): number {
  return bytes.byteLength + pieceEnds.byteLength + valueDistances.byteLength + timeHoles.byteLength;
}
