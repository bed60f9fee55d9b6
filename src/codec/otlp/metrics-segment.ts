/** Metrics segments that travel as the bytes of a request and are decoded when a component looks. */

import type { PointsSegment } from "../../model/batch.ts";
import type { OtlpRequest, OtlpSegment, RequestShape } from "../../model/otlp-request.ts";

/** Decodes the points of a walked ExportMetricsServiceRequest; `MetricsDecoder` is one. */
export interface PointsDecoder {
  /** `shape` is that of the bytes, where it is known. */
  decode(bytes: Uint8Array, shape?: RequestShape): readonly PointsSegment[];
}

/** The segment of a metrics request. `open` decodes once and remembers the result as long as the segment lives. */
export function metricsSegment(request: OtlpRequest, decoder: PointsDecoder, shape?: RequestShape): OtlpSegment {
  let points: readonly PointsSegment[] | undefined;
  return {
    form: "otlp",
    request,
    from: 0,
    to: request.items,
    shape,
    open() {
      points ??= decoder.decode(request.bytes, shape);
      return points;
    },
    withRequest: (other) => metricsSegment(other, decoder),
  };
}
