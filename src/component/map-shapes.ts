/** Maps unopened requests whose shape is known: the first of a shape is opened, mapped and encoded, all others are copied. */

import { MetricsEncoder } from "../codec/otlp/encode-metrics.ts";
import { applyShapeEdit, findMarks, markedRequest, type ShapeEdit } from "../codec/otlp/marked-words.ts";
import type { PointsSegment } from "../model/batch.ts";
import { DecodeError } from "../model/errors.ts";
import type { OtlpRequest, OtlpSegment, RequestShape } from "../model/otlp-request.ts";

/** Maps points; the result depends on their layout only, never on times and values. */
export type MapPoints = (points: PointsSegment) => { readonly segment: PointsSegment; readonly dropped: number };

export interface MappedSegment {
  /** Undefined when nothing is left of it. */
  readonly segment: OtlpSegment | undefined;
  /** Rows that were dropped. */
  readonly dropped: number;
}

interface Known {
  readonly edit: ShapeEdit;
  readonly dropped: number;
}

/** What a mapping makes of requests, by their shape. */
export class MappedShapes {
  readonly #known = new WeakMap<RequestShape, Known | "opened">();

  /**
   * The segment with its points mapped, still unopened: the edited request is made when somebody asks for its bytes, the
   * mapped points when somebody opens it. Undefined where the segment has to be opened.
   */
  map(segment: OtlpSegment, map: MapPoints): MappedSegment | undefined {
    const { shape } = segment;
    if (shape === undefined) return undefined;
    let known = this.#known.get(shape);
    if (known === undefined) {
      known = learn(segment, shape, map);
      this.#known.set(shape, known);
    }
    if (known === "opened") return undefined;
    const { edit, dropped } = known;
    return { segment: edit.shape.items === 0 ? undefined : new EditedSegment(segment, edit, map), dropped };
  }
}

function learn(segment: OtlpSegment, shape: RequestShape, map: MapPoints): Known | "opened" {
  const points = openMarked(segment, shape);
  if (points === undefined) return "opened";
  const mapped: PointsSegment[] = [];
  let dropped = 0;
  for (const segmentOfPoints of points) {
    const { segment: result, dropped: rows } = map(segmentOfPoints);
    mapped.push(result);
    dropped += rows;
  }
  const { bytes, items } = new MetricsEncoder().encodePoints(mapped);
  const edit = findMarks(bytes, items, shape);
  return edit === undefined ? "opened" : { edit, dropped };
}

/** Undefined where the bytes are no valid metrics: opening the request itself says so to its sender. */
function openMarked(segment: OtlpSegment, shape: RequestShape): readonly PointsSegment[] | undefined {
  try {
    return segment.withRequest({ signal: "metrics", bytes: markedRequest(shape), items: shape.items }).open();
  } catch (caught) {
    if (caught instanceof DecodeError) return undefined;
    throw caught;
  }
}

class EditedSegment implements OtlpSegment {
  readonly form = "otlp";
  readonly from = 0;
  readonly #source: OtlpSegment;
  readonly #edit: ShapeEdit;
  readonly #map: MapPoints;
  #request: OtlpRequest | undefined;
  #points: readonly PointsSegment[] | undefined;

  constructor(source: OtlpSegment, edit: ShapeEdit, map: MapPoints) {
    this.#source = source;
    this.#edit = edit;
    this.#map = map;
  }

  get to(): number {
    return this.#edit.shape.items;
  }

  get shape(): RequestShape {
    return this.#edit.shape;
  }

  get request(): OtlpRequest {
    this.#request ??= {
      signal: "metrics",
      bytes: applyShapeEdit(this.#edit, this.#source.request.bytes),
      items: this.#edit.shape.items,
    };
    return this.#request;
  }

  open(): readonly PointsSegment[] {
    this.#points ??= this.#source
      .open()
      .map((points) => this.#map(points).segment)
      .filter(({ from, to }) => to > from);
    return this.#points;
  }

  withRequest(request: OtlpRequest): OtlpSegment {
    return this.#source.withRequest(request);
  }
}
