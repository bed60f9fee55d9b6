/** Metrics segments that travel as the bytes of a request and are decoded when a component looks. */

import type { PointsSegment } from "../../model/batch.ts";
import type { OtlpRequest, OtlpSegment } from "../../model/otlp-request.ts";

/** Decodes the points of a walked ExportMetricsServiceRequest; `MetricsDecoder` is one. */
export interface PointsDecoder {
  decode(bytes: Uint8Array): readonly PointsSegment[];
}

/** The segment of a metrics request. `open` decodes once and remembers the result as long as the segment lives. */
export function metricsSegment(request: OtlpRequest, decoder: PointsDecoder): OtlpSegment {
  let points: readonly PointsSegment[] | undefined;
  return {
    form: "otlp",
    request,
    from: 0,
    to: request.items,
    open() {
      points ??= decoder.decode(request.bytes);
      return points;
    },
    withRequest: (other) => metricsSegment(other, decoder),
  };
}
