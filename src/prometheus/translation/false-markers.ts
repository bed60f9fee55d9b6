/** Takes staleness markers away from series that live on under the same labels: names or processors made two series equal. */

import type { SamplesSegment } from "../../model/batch.ts";
import type { Dropped } from "./assemble-points.ts";
import { withoutRows } from "./translate-samples.ts";

/** The segments of a batch without markers of series that a row of the same lane and time goes on with; those are counted. */
export function withoutFalseMarkers(segments: readonly SamplesSegment[], dropped: Dropped): SamplesSegment[] {
  if (segments.length < 2 || !segments.some(isMarkers)) return [...segments];
  return segments.flatMap((markers) => {
    if (!isMarkers(markers)) return [markers];
    const ended = new Set(markers.layout.labels?.subarray(markers.from, markers.to));
    const living = new Set<number>();
    for (const { layout, from, to, stale, timestampMs, timestampsMs } of segments) {
      if (stale === true || layout.origin.lane !== markers.layout.origin.lane) continue;
      for (let row = from; row < to; row++) {
        const set = layout.labels?.[row] as number;
        if (!ended.has(set) || (stale !== false && stale[row - from] === 1)) continue;
        if ((timestampsMs?.[row - from] ?? timestampMs) === markers.timestampMs) living.add(set);
      }
    }
    if (living.size === 0) return [markers];
    const gone = Uint8Array.from({ length: markers.to - markers.from }, (_, i) =>
      living.has(markers.layout.labels?.[markers.from + i] as number) ? 1 : 0,
    );
    const count = gone.reduce((sum, one) => sum + one, 0);
    dropped("duplicate", count);
    return count === gone.length ? [] : [withoutRows(markers, gone)];
  });
}

function isMarkers({ stale, timestampsMs }: SamplesSegment): boolean {
  return stale === true && timestampsMs === undefined;
}
