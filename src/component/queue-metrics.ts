/** What queues on disk say about themselves: what waits, what was damaged, what was given up. */

import type { DurableStats, GiveUpReason, LaneStats } from "../durable/durable-options.ts";
import type { DurableQueue } from "../durable/durable-queue.ts";
import type { Damage } from "../durable/recover-queue.ts";
import type { Clock, Logger, Meter, MetricLabels } from "./telemetry.ts";

/** The same kind of message is logged again after this time. */
const repeatLogMs = 10_000;

/** Shows what waits in queues, of each as a whole and at level detailed by lane; the returned function takes it away. */
export function observeQueues(
  meter: Meter,
  clock: Clock,
  queues: () => Iterable<readonly [MetricLabels, DurableQueue<unknown>]>,
): () => void {
  const age = (oldestMs: number | undefined) =>
    oldestMs === undefined ? 0 : Math.max(0, (clock.now() - oldestMs) / 1000);
  const whole = (name: string, help: string, read: (stats: DurableStats) => number) =>
    meter.observe(`millrace_storage_${name}`, { help, type: "gauge" }, () =>
      Array.from(queues(), ([labels, queue]) => ({ labels, value: read(queue.stats()) })),
    );
  const byLane = (name: string, help: string, read: (lane: LaneStats) => number) =>
    meter.observe(`millrace_storage_lane_${name}`, { help, type: "gauge", level: "detailed" }, () =>
      Array.from(queues()).flatMap(([labels, queue]) =>
        queue.lanes().map((lane) => ({ labels: { ...labels, lane: String(lane.lane) }, value: read(lane) })),
      ),
    );
  const removers = [
    whole("records", "Records on disk that are not delivered.", ({ records }) => records),
    whole("items", "Samples, points, spans or log records on disk that are not delivered.", ({ items }) => items),
    whole("bytes", "Bytes of all segments of a queue.", ({ diskBytes }) => diskBytes),
    whole("oldest_age_seconds", "Age of the oldest record that is not delivered.", ({ oldestMs }) => age(oldestMs)),
    byLane("records", "Records of a lane that are not delivered.", ({ records }) => records),
    byLane("bytes", "Bytes of the records of a lane that are not delivered.", ({ bytes }) => bytes),
    byLane("oldest_age_seconds", "Age of the oldest record of a lane.", ({ oldestMs }) => age(oldestMs)),
  ];
  return () => {
    for (const remove of removers) remove();
  };
}

/** Counts and logs what a queue finds damaged or gives up; logs of one kind at most once in a while. */
export function queueEvents(
  { meter, log, clock }: { readonly meter: Meter; readonly log: Logger; readonly clock: Clock },
  labels: MetricLabels,
): {
  damaged(damage: Damage): void;
  gaveUp(reason: GiveUpReason, records: number, items: number): void;
} {
  const damage = meter.counter("millrace_storage_damage_total", { help: "Damage found in queues on disk, by kind." });
  const dropped = meter.counter("millrace_storage_dropped_items_total", {
    help: "Samples, points, spans or log records of queues on disk that were given up, by reason.",
  });
  let loggedMs = Number.NEGATIVE_INFINITY;
  let itemsSince = 0;
  return {
    damaged(found) {
      damage.with({ ...labels, kind: found.kind }).add(1);
      log.warn("The queue on disk is damaged", { ...found });
    },
    gaveUp(reason, records, items) {
      dropped.with({ ...labels, reason }).add(items);
      itemsSince += items;
      if (clock.monotonic() - loggedMs < repeatLogMs) return;
      loggedMs = clock.monotonic();
      log.error("The queue on disk gave data up", { reason, records, dropped_items: itemsSince });
      itemsSince = 0;
    },
  };
}
