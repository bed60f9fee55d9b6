/** Cuts an OTLP request into smaller ones: between resources where that is enough, inside a resource where not. */

import type { MessageName } from "../../kernels/otlp-schema.ts";
import { OtlpWalk } from "../../kernels/otlp-walk.ts";
import type { OtlpRequest, Signal } from "../../model/otlp-request.ts";
import { resourceRanges } from "./request-resources.ts";
import { WireReader } from "./wire-reader.ts";

/** What a part may have at most. A single point, span or log record that is larger than `maxBytes` makes a part of its own. */
export interface SplitLimits {
  /** Default: no limit. At least 1. */
  readonly maxItems?: number | undefined;
  /** Bytes of the serialized request; default: no limit. */
  readonly maxBytes?: number | undefined;
}

/** A message that may be cut between its children; `fields` are the numbers of the children. */
interface Level {
  readonly message: MessageName | undefined;
  readonly fields: readonly number[];
}

const metricData: Level = { message: undefined, fields: [1] };
const levels: Readonly<Record<Signal, readonly Level[]>> = {
  metrics: [
    { message: "ResourceMetrics", fields: [2] },
    { message: "ScopeMetrics", fields: [2] },
    { message: "Metric", fields: [5, 7, 9, 10, 11] },
    metricData,
  ],
  traces: [
    { message: "ResourceSpans", fields: [2] },
    { message: "ScopeSpans", fields: [2] },
  ],
  logs: [
    { message: "ResourceLogs", fields: [2] },
    { message: "ScopeLogs", fields: [2] },
  ],
};

/** Tag and length of a nested message take no more. */
const frameBytes = 8;

/**
 * The parts of a walked request, in its order, none above the limits. Headers of a resource, scope or metric that is cut
 * are repeated in each part; those without items are left out. A request within the limits is returned as it is.
 */
export function splitRequest(request: OtlpRequest, limits: SplitLimits): OtlpRequest[] {
  const maxItems = limits.maxItems ?? Number.POSITIVE_INFINITY;
  const maxBytes = limits.maxBytes ?? Number.POSITIVE_INFINITY;
  if (request.items <= maxItems && request.bytes.length <= maxBytes) return [request];
  const cutter = new Cutter(request.signal, request.bytes, maxItems, maxBytes);
  for (const { from, start, to } of resourceRanges(request.bytes)) cutter.add(0, 1, from, start, to);
  return cutter.finish();
}

/** A message that was cut and is open in the part being filled. */
interface Open {
  /** The number of its field in the message around it. */
  readonly field: number;
  /** Everything in it but its children. */
  readonly header: Uint8Array;
  chunks: Uint8Array[];
  /** Whether it was written in a part before; then it is left out where it has no children. */
  wasWritten: boolean;
}

class Cutter {
  readonly #levels: readonly Level[];
  readonly #signal: Signal;
  readonly #bytes: Uint8Array;
  readonly #maxItems: number;
  readonly #maxBytes: number;
  readonly #walk = new OtlpWalk();
  readonly #parts: OtlpRequest[] = [];
  #chunks: Uint8Array[] = [];
  #open: Open[] = [];
  /** Of the part being filled: an upper bound of its bytes, and its items. */
  #size = 0;
  #items = 0;

  constructor(signal: Signal, bytes: Uint8Array, maxItems: number, maxBytes: number) {
    this.#signal = signal;
    this.#levels = levels[signal];
    this.#bytes = bytes;
    this.#maxItems = maxItems;
    this.#maxBytes = maxBytes;
  }

  /** Adds the field `[from, stop)` with the number `field`, whose content begins at `start`, a message of level `depth`. */
  add(depth: number, field: number, from: number, start: number, stop: number): void {
    const level = this.#levels[depth];
    const items = level === undefined ? 1 : this.#count(level, start, stop);
    if (items === 0) return;
    const size = stop - from;
    if (!this.#fits(items, size)) {
      // Resources stay whole where a new part has room for them; what is inside a cut one fills parts up.
      const isWholeElsewhere = depth === 0 && items <= this.#maxItems && size <= this.#maxBytes;
      if (level !== undefined && !isWholeElsewhere) {
        this.#cut(level, depth, field, start, stop);
        return;
      }
      this.#flush();
    }
    this.#target().push(this.#bytes.subarray(from, stop));
    this.#size += size;
    this.#items += items;
  }

  /** Items of a message; of the data of a metric that did not fit more than any limit, so that it is cut. */
  #count({ message }: Level, start: number, stop: number): number {
    if (message === undefined) return Number.POSITIVE_INFINITY;
    this.#walk.walk(message, this.#bytes, start, stop);
    return this.#walk.items;
  }

  #fits(items: number, size: number): boolean {
    return Number.isFinite(items) && this.#items + items <= this.#maxItems && this.#size + size <= this.#maxBytes;
  }

  #target(): Uint8Array[] {
    return this.#open.at(-1)?.chunks ?? this.#chunks;
  }

  #cut(level: Level, depth: number, field: number, start: number, stop: number): void {
    const reader = new WireReader(this.#bytes, start, stop);
    const header: Uint8Array[] = [];
    const children: { field: number; from: number; start: number; stop: number }[] = [];
    while (reader.next()) {
      const { field: number, fieldAt, start: inner, stop: end } = reader;
      if (level.fields.includes(number)) children.push({ field: number, from: fieldAt, start: inner, stop: end });
      else header.push(this.#bytes.subarray(fieldAt, end));
    }
    const open: Open = { field, header: Buffer.concat(header), chunks: [], wasWritten: false };
    if (this.#items > 0 && this.#size + open.header.length + frameBytes > this.#maxBytes) this.#flush();
    this.#open.push(open);
    this.#size += open.header.length + frameBytes;
    for (const child of children) this.add(depth + 1, child.field, child.from, child.start, child.stop);
    this.#close();
  }

  #close(): void {
    const open = this.#open.pop();
    if (open === undefined || (open.wasWritten && open.chunks.length === 0)) return;
    this.#target().push(...framed(open));
  }

  /** Ends the part; what is open goes on in the next one. */
  #flush(): void {
    if (this.#items === 0) return;
    for (let i = this.#open.length - 1; i >= 0; i--) {
      const open = this.#open[i] as Open;
      if (open.chunks.length > 0) (this.#open[i - 1]?.chunks ?? this.#chunks).push(...framed(open));
      open.chunks = [];
      open.wasWritten = true;
    }
    this.#parts.push({ signal: this.#signal, bytes: Buffer.concat(this.#chunks), items: this.#items });
    this.#chunks = [];
    this.#items = 0;
    this.#size = this.#open.reduce((size, { header }) => size + header.length + frameBytes, 0);
  }

  finish(): OtlpRequest[] {
    const rest = { signal: this.#signal, bytes: Buffer.concat(this.#chunks), items: this.#items };
    if (rest.items > 0 || this.#parts.length === 0) this.#parts.push(rest);
    return this.#parts;
  }
}

/** The field of a message: tag and length, header, children. */
function framed({ field, header, chunks }: Open): Uint8Array[] {
  let rest = header.length;
  for (const chunk of chunks) rest += chunk.length;
  const front = [(field << 3) | 2];
  while (rest >= 0x80) {
    front.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  front.push(rest);
  return [Uint8Array.from(front), header, ...chunks];
}
