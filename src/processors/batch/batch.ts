/** Joins small batches into large ones, and answers every sender when its data was taken. */

import { z } from "zod";
import { duration, keysTogether } from "../../codec/yaml/field-types.ts";
import { defineProcessor } from "../../component/define.ts";
import type { Meter, MetricCell } from "../../component/telemetry.ts";
import type { MetricsBatch } from "../../model/batch.ts";
import type { LogsBatch, TracesBatch } from "../../model/otlp-request.ts";
import { Batcher, type BatchMetrics } from "./batcher.ts";
import { ClientBatchers } from "./client-batchers.ts";

const maxUint32 = 0xffff_ffff;
const sizeField = () => z.number().int().min(0).max(maxUint32);

export default defineProcessor({
  type: "batch",
  description: "Joins small batches into large ones.",
  stability: { metrics: "beta", traces: "beta", logs: "beta" },

  config: z
    .strictObject({
      timeout: duration()
        .default(200)
        .describe("Longest time that data waits for more, from the first of it on. 0 hands everything on at once."),
      send_batch_size: sizeField()
        .default(8192)
        .describe(
          "Points (or samples), spans or log records from which on a batch is handed on. 0 hands everything on at once.",
        ),
      send_batch_max_size: sizeField()
        .default(0)
        .describe(
          "Largest batch; larger ones are cut, but never within a metric family, so that a histogram stays whole. " +
            "0 means no maximum. At least send_batch_size.",
        ),
      metadata_keys: z
        .array(z.string())
        .default([])
        .describe(
          "Names of client metadata whose values keep batches apart, and stay with them; receivers need include_metadata.",
        ),
      metadata_cardinality_limit: sizeField()
        .default(1000)
        .describe("Largest number of combinations of metadata_keys; 0 means no limit."),
    })
    .check(
      keysTogether(
        (config, fault) => {
          if (config.send_batch_max_size > 0 && config.send_batch_max_size < config.send_batch_size) {
            fault(["send_batch_max_size"], `expected at least send_batch_size (${config.send_batch_size})`);
          }
        },
        (config, fault) => {
          const seen = new Set<string>();
          for (const [index, key] of config.metadata_keys.entries()) {
            if (seen.has(key.toLowerCase())) {
              fault(["metadata_keys", index], "is there twice");
            }
            seen.add(key.toLowerCase());
          }
        },
      ),
    ),

  create({ id, config, clock, meter, spawn, signals }) {
    const signal = signals?.[0] ?? "metrics";
    const limits = {
      timeoutMs: config.timeout,
      minRows: config.send_batch_size,
      maxRows: config.send_batch_max_size || Number.POSITIVE_INFINITY,
    };
    const { combinations, ...metrics } = batchMetrics(meter, id);
    const batchers = new ClientBatchers({
      keys: config.metadata_keys,
      maxCombinations: config.metadata_cardinality_limit || Number.POSITIVE_INFINITY,
      create: (client) => new Batcher({ signal, client }, limits, clock, metrics),
      counted(count) {
        combinations.value = count;
      },
    });
    spawn("timeout", (stop) => batchers.runTimers(stop));
    return {
      // What comes out is of the signal that came in, of which an instance has one.
      metrics: (batch, next) => batchers.add(batch, (joined) => next.metrics(joined as MetricsBatch)),
      traces: (batch, next) => batchers.add(batch, (joined) => next.traces(joined as TracesBatch)),
      logs: (batch, next) => batchers.add(batch, (joined) => next.logs(joined as LogsBatch)),
      shutdown: (deadline) => batchers.shutdown(deadline),
    };
  },
});

/** Bounds of the histogram of batch sizes, the Collector's. */
const sizeBounds = [
  10, 25, 50, 75, 100, 250, 500, 750, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10_000, 20_000, 30_000,
  50_000, 100_000,
];

function batchMetrics(meter: Meter, id: string): BatchMetrics & { readonly combinations: MetricCell } {
  const labels = { processor: id };
  const counter = (name: string, help: string) =>
    meter.counter(`otelcol_processor_batch_${name}`, { help, level: "normal" }).with(labels);
  return {
    combinations: meter
      .gauge("otelcol_processor_batch_metadata_cardinality", {
        help: "Number of distinct metadata value combinations being processed",
        level: "normal",
      })
      .with(labels),
    size: meter
      .histogram("otelcol_processor_batch_batch_send_size", {
        help: "Number of units in the batch",
        level: "normal",
        buckets: sizeBounds,
      })
      .with(labels),
    sizeTriggers: counter("batch_size_trigger_send", "Number of times the batch was sent due to a size trigger"),
    timeoutTriggers: counter("timeout_trigger_send", "Number of times the batch was sent due to a timeout trigger"),
  };
}
