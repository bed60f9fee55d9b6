/** Maps unopened requests whose shape is known: the first of a shape is opened, mapped and encoded, all others are copied. */

import { MetricsEncoder } from "../codec/otlp/encode-metrics.ts";
import {
  applyShapeEdit,
  createMarks,
  findEdit,
  type Mark,
  markedRequest,
  type ShapeEdit,
} from "../codec/otlp/marked-words.ts";
import type { PointsSegment } from "../model/batch.ts";
import { DecodeError } from "../model/errors.ts";
import type { LentRequest, OtlpRequest, OtlpSegment, RequestShape } from "../model/otlp-request.ts";

/** Maps points; the result depends on their layout only, never on times and values. */
export type MapPoints = (points: PointsSegment) => { readonly segment: PointsSegment; readonly dropped: number };

export interface MappedSegment {
  /** Undefined when nothing is left of it. */
  readonly segment: OtlpSegment | undefined;
  /** Rows that were dropped. */
  readonly dropped: number;
}

/** Bytes of edits that a processor remembers, for all its contexts together. */
const defaultMaxBytes = 32 * 1024 * 1024;
/** Of these, the largest share that one edit may take. */
const maxShare = 1 / 4;
/** Edited requests that were given back and wait for the next ones: of one edit so many, or more up to so many bytes. */
const leastSpares = 2;
const enoughSpareBytes = 2 * 1024 * 1024;
/** Of all edits, as a share of the bytes of edits. */
const maxSpareShare = 1 / 2;

interface Known {
  readonly edit: ShapeEdit;
  readonly dropped: number;
  readonly byteLength: number;
  /** Memory of requests that this edit made and that were given back: all but the words is there already. */
  readonly spares: Uint8Array[];
  usedAt: number;
}

/** The edits that a processor remembers: bounded, whatever the number of clients and shapes. */
export class ShapeEdits {
  readonly #maxBytes: number;
  /** The one used last at the end. */
  readonly #known = new Set<Known>();
  /** Whose shape is gone, nobody asks for. */
  readonly #gone = new FinalizationRegistry<Known>((known) => this.#drop(known));
  #bytes = 0;
  #spareBytes = 0;
  #turn = 0;

  constructor(maxBytes = defaultMaxBytes) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that the edits take. */
  get byteLength(): number {
    return this.#bytes;
  }

  /** Bytes of requests that were given back and wait for the next ones. */
  get spareByteLength(): number {
    return this.#spareBytes;
  }

  /** To be called for every request. False where there is no edit, or it was dropped. */
  use(known: Known | undefined): known is Known {
    this.#turn++;
    if (known === undefined || !this.#known.delete(known)) return false;
    known.usedAt = this.#turn;
    this.#known.add(known);
    return true;
  }

  /** False where there is no room among edits that are in use: making them anew each time would cost more than opening. */
  add(known: Known, shape: RequestShape): boolean {
    if (known.byteLength > this.#maxBytes * maxShare) return false;
    while (this.#bytes + known.byteLength > this.#maxBytes) {
      const [oldest] = this.#known;
      if (oldest === undefined || this.#turn - oldest.usedAt < this.#known.size * 4) return false;
      this.#drop(oldest);
    }
    this.#bytes += known.byteLength;
    this.#known.add(known);
    known.usedAt = this.#turn;
    this.#gone.register(shape, known);
    return true;
  }

  /** Memory of a request that the edit made before and that nobody reads any more; undefined where none waits. */
  takeSpare({ spares }: Known): Uint8Array | undefined {
    const spare = spares.pop();
    if (spare !== undefined) this.#spareBytes -= spare.length;
    return spare;
  }

  /** To be called when nobody reads these bytes, which the edit made, any more. */
  giveBack(known: Known, bytes: Uint8Array): void {
    const { spares } = known;
    const isEnough = spares.length >= leastSpares && (spares.length + 1) * bytes.length > enoughSpareBytes;
    if (isEnough || !this.#known.has(known)) return;
    if (this.#spareBytes + bytes.length > this.#maxBytes * maxSpareShare) return;
    spares.push(bytes);
    this.#spareBytes += bytes.length;
  }

  #drop(known: Known): void {
    if (!this.#known.delete(known)) return;
    this.#bytes -= known.byteLength;
    while (this.takeSpare(known) !== undefined);
  }
}

interface Seen {
  /** Requests of the shape that had to be opened. */
  opened: number;
  known: Known | undefined;
}

/** What a mapping makes of requests, by their shape. */
export class MappedShapes {
  readonly #edits: ShapeEdits;
  readonly #seen = new WeakMap<RequestShape, Seen>();

  constructor(edits = new ShapeEdits()) {
    this.#edits = edits;
  }

  /**
   * The segment with its points mapped, still unopened: the edited request is made when somebody asks for its bytes, the
   * mapped points when somebody opens it. Undefined where the segment has to be opened.
   */
  map(segment: OtlpSegment, map: MapPoints): MappedSegment | undefined {
    const { shape } = segment;
    if (shape === undefined) return undefined;
    const known = this.#find(segment, shape, map);
    if (known === undefined) return undefined;
    const { edit, dropped } = known;
    if (edit.shape.items === 0) return { segment: undefined, dropped };
    return { segment: new EditedSegment(segment, { known, edits: this.#edits }, map), dropped };
  }

  #find(segment: OtlpSegment, shape: RequestShape, map: MapPoints): Known | undefined {
    let seen = this.#seen.get(shape);
    if (seen === undefined) {
      seen = { opened: 0, known: undefined };
      this.#seen.set(shape, seen);
    }
    if (this.#edits.use(seen.known)) return seen.known;
    seen.known = undefined;
    seen.opened++;
    // At the second request, and where that came to nothing at the fourth, the eighth.
    if (seen.opened < 2 || (seen.opened & (seen.opened - 1)) !== 0) return undefined;
    const learnt = learn(segment, shape, map);
    if (learnt === undefined || !this.#edits.add(learnt, shape)) return undefined;
    seen.known = learnt;
    return learnt;
  }
}

function learn(segment: OtlpSegment, shape: RequestShape, map: MapPoints): Known | undefined {
  const marks = createMarks();
  const first = mapMarked(segment, shape, { mark: marks[0], map });
  const second = mapMarked(segment, shape, { mark: marks[1], map });
  if (first === undefined || second === undefined) return undefined;
  if (first.items !== second.items || first.dropped !== second.dropped) return undefined;
  const edit = findEdit([first.bytes, second.bytes], marks, shape, first.items);
  if (edit === undefined) return undefined;
  const byteLength = edit.shape.bytes.length + edit.shape.words.byteLength + edit.sources.byteLength;
  return { edit, dropped: first.dropped, byteLength, spares: [], usedAt: 0 };
}

/** Undefined where the bytes are no valid metrics: opening the request itself says so to its sender. */
function mapMarked(
  segment: OtlpSegment,
  shape: RequestShape,
  { mark, map }: { readonly mark: Mark; readonly map: MapPoints },
): { readonly bytes: Uint8Array; readonly items: number; readonly dropped: number } | undefined {
  const request: OtlpRequest = { signal: "metrics", bytes: markedRequest(shape, mark), items: shape.items };
  const points = openValid(segment.withRequest(request));
  if (points === undefined) return undefined;
  const mapped: PointsSegment[] = [];
  let dropped = 0;
  for (const segmentOfPoints of points) {
    const { segment: result, dropped: rows } = map(segmentOfPoints);
    mapped.push(result);
    dropped += rows;
  }
  return { ...new MetricsEncoder().encodePoints(mapped), dropped };
}

function openValid(segment: OtlpSegment): readonly PointsSegment[] | undefined {
  try {
    return segment.open();
  } catch (caught) {
    if (caught instanceof DecodeError) return undefined;
    throw caught;
  }
}

class EditedSegment implements OtlpSegment {
  readonly form = "otlp";
  readonly from = 0;
  readonly #known: Known;
  readonly #edits: ShapeEdits;
  readonly #map: MapPoints;
  /** What it is made of; once the request is made, that: the bytes that came are not held any longer. */
  #origin: OtlpSegment;
  #isMade = false;
  #points: readonly PointsSegment[] | undefined;

  constructor(
    source: OtlpSegment,
    { known, edits }: { readonly known: Known; readonly edits: ShapeEdits },
    map: MapPoints,
  ) {
    this.#origin = source;
    this.#known = known;
    this.#edits = edits;
    this.#map = map;
  }

  get to(): number {
    return this.#known.edit.shape.items;
  }

  get shape(): RequestShape {
    return this.#known.edit.shape;
  }

  get request(): OtlpRequest {
    if (!this.#isMade) {
      const bytes = applyShapeEdit(this.#known.edit, this.#origin.request.bytes);
      this.#origin = this.#origin.withRequest({ signal: "metrics", bytes, items: this.#known.edit.shape.items });
      this.#isMade = true;
    }
    return this.#origin.request;
  }

  lend(): LentRequest | undefined {
    if (this.#isMade) return undefined;
    const known = this.#known;
    const edits = this.#edits;
    const origin = this.#origin.lend?.();
    const source = origin?.request ?? this.#origin.request;
    const bytes = applyShapeEdit(known.edit, source.bytes, edits.takeSpare(known));
    origin?.giveBack();
    return {
      request: { signal: "metrics", bytes, items: known.edit.shape.items },
      giveBack: () => edits.giveBack(known, bytes),
    };
  }

  open(): readonly PointsSegment[] {
    this.#points ??= this.#isMade ? this.#origin.open() : this.#mapped();
    return this.#points;
  }

  #mapped(): readonly PointsSegment[] {
    return this.#origin
      .open()
      .map((points) => this.#map(points).segment)
      .filter(({ from, to }) => to > from);
  }

  withRequest(request: OtlpRequest): OtlpSegment {
    return this.#origin.withRequest(request);
  }
}
