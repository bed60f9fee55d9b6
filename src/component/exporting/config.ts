/** The keys that every exporter has: timeout, retry_on_failure, sending_queue, with the Collector's names and defaults. */

import { z } from "zod";
import { byteSize, componentIdString, duration, keysTogether } from "../../codec/yaml/field-types.ts";
import type { CompleteContext } from "../define.ts";
import { isWritten, sectionIssue } from "../section-issues.ts";

const sizers = ["requests", "items", "bytes"] as const;

const retrySchema = z
  .strictObject({
    enabled: z.boolean().default(true).describe("Repeats requests that failed for now."),
    initial_interval: duration().default(5000).describe("Wait before the first repeat."),
    randomization_factor: z.number().min(0).max(1).default(0.5).describe("Share of a wait that is random."),
    multiplier: z.number().min(0).default(1.5).describe("Growth of the wait from repeat to repeat."),
    max_interval: duration().default(30_000).describe("Longest wait that is not asked for by the server."),
    max_elapsed_time: duration()
      .default(300_000)
      .describe("Time after which a request is dropped, counted. 0 means never."),
  })
  .check(
    keysTogether((retry, addFault) => {
      const { initial_interval: initial, max_elapsed_time: elapsed, max_interval: max } = retry;
      if (!retry.enabled || elapsed === 0) return;
      const fault = (message: string) => addFault(["max_elapsed_time"], message);
      if (elapsed < initial) fault("expected at least initial_interval");
      else if (elapsed < max) fault("expected at least max_interval");
    }),
  );

const batchSchema = z.strictObject({
  enabled: z.boolean().default(true).describe("Joins what waits into larger requests."),
  flush_timeout: duration().default(200).describe("Longest time that data waits for more."),
  min_size: z.number().int().min(0).default(8192).describe("Size from which on a request is sent."),
  max_size: z.number().int().min(0).default(0).describe("Largest request; larger ones are cut. 0 means no maximum."),
  sizer: z.enum(["items", "bytes"]).optional().describe("Unit of min_size and max_size. Default: that of the queue."),
  partition: z
    .strictObject({
      metadata_keys: z
        .array(z.string())
        .default([])
        .describe(
          "Names of client metadata whose values keep requests apart; receivers need include_metadata. Not on disk.",
        ),
    })
    .optional()
    .describe("What keeps requests apart."),
});

const queueSchema = z
  .strictObject({
    enabled: z.boolean().default(true).describe("Without a queue a request is answered when it was delivered."),
    num_consumers: z
      .number()
      .int()
      .min(1)
      .max(10_000)
      .default(10)
      .describe("Most requests under way at the same time; what belongs to one resource stays in order."),
    queue_size: z
      .number()
      .int()
      .min(1)
      .default(1000)
      .describe("Most that is accepted and not yet delivered, in the unit of sizer."),
    max_bytes: byteSize()
      .default(256 * 1024 * 1024)
      .describe(
        "Most bytes in memory that are accepted and not yet delivered, whatever the sizer (Millrace's own key).",
      ),
    sizer: z.enum(sizers).default("requests").describe("Unit of queue_size."),
    block_on_overflow: z
      .boolean()
      .default(false)
      .describe("Makes senders wait for room instead of refusing their data."),
    wait_for_result: z.boolean().default(false).describe("Answers senders when their data was delivered."),
    storage: componentIdString()
      .optional()
      .describe(
        "Id of an extension that keeps the queue on disk. Then queue_size holds only where it is written, and requests are repeated for ever unless max_elapsed_time is written.",
      ),
    // Absent is off; given, also empty, is on: the preset is filled in by the exporter.
    batch: z.union([z.null(), batchSchema]).optional().describe("Joins requests in the queue; absent, it is off."),
  })
  .check(
    keysTogether(
      (queue, fault) => {
        if (queue.storage !== undefined && queue.wait_for_result) {
          fault(["wait_for_result"], "is not possible with storage: senders are answered when their data is on disk");
        }
      },
      (queue, fault) => {
        const batch = queue.batch ?? undefined;
        if (batch === undefined || !batch.enabled) return;
        if (batch.max_size > 0 && batch.max_size < batch.min_size) {
          fault(["batch", "max_size"], "expected at least min_size");
        }
        const sizer = batch.sizer ?? (queue.sizer === "bytes" ? "bytes" : "items");
        if (queue.enabled && sizer === queue.sizer && batch.min_size > queue.queue_size) {
          fault(["batch", "min_size"], "expected at most queue_size, which has the same unit");
        }
      },
    ),
  );

export interface ExportingDefaults {
  readonly timeoutMs: number;
}

/** The keys, to be spread into the schema of an exporter. */
export function exportingFields({ timeoutMs }: ExportingDefaults) {
  return {
    timeout: duration().default(timeoutMs).describe("Limit of one attempt. 0 means no limit."),
    retry_on_failure: retrySchema.prefault({}).describe("How requests are repeated."),
    sending_queue: queueSchema.prefault({}).describe("The queue, in memory unless storage is given."),
  };
}

export type RetryConfig = z.output<typeof retrySchema>;
export type QueueConfig = z.output<typeof queueSchema>;

/** What `exportingFields` decode to. */
export interface ExportingConfig {
  readonly timeout: number;
  readonly retry_on_failure: RetryConfig;
  readonly sending_queue: QueueConfig;
}

/** When waiting requests are joined, and how large a request may become. */
export interface BatchLimits {
  readonly sizer: "items" | "bytes";
  /** 0: a request is sent when it comes. */
  readonly minSize: number;
  /** Infinity for no maximum. */
  readonly maxSize: number;
  readonly flushMs: number;
}

/** The limits that a queue's configuration gives; undefined where requests are not joined on purpose. */
export function batchLimits({ batch, sizer, enabled }: QueueConfig): BatchLimits | undefined {
  const settings = batch === null ? batchSchema.parse({}) : batch;
  if (settings === undefined || !settings.enabled || !enabled) return undefined;
  return {
    sizer: settings.sizer ?? (sizer === "bytes" ? "bytes" : "items"),
    minSize: settings.min_size,
    maxSize: settings.max_size === 0 ? Number.POSITIVE_INFINITY : settings.max_size,
    flushMs: settings.flush_timeout,
  };
}

/** Notices keys without effect, and gives a queue on disk its defaults. */
export function completeExporting<C extends ExportingConfig>(config: C, section: CompleteContext): C {
  const { sending_queue: queue, retry_on_failure: retry } = config;
  const path = ["sending_queue", "batch", "partition"];
  if (isOnDisk(queue) && isWritten(section, path)) {
    section.notice(sectionIssue(section, path, "has no effect on a queue on disk, which keeps no metadata"));
  }
  if (!queue.enabled) {
    for (const key of ["batch", "storage"]) {
      if (!isWritten(section, ["sending_queue", key])) continue;
      section.notice(sectionIssue(section, ["sending_queue", key], "has no effect while the queue is not enabled"));
    }
  }
  if (!isOnDisk(queue)) return config;
  const isGiven = (...key: string[]) => isWritten(section, key);
  const queueSize = isGiven("sending_queue", "queue_size") ? queue.queue_size : Number.POSITIVE_INFINITY;
  const elapsedMs = isGiven("retry_on_failure", "max_elapsed_time") ? retry.max_elapsed_time : 0;
  return {
    ...config,
    sending_queue: { ...queue, queue_size: queueSize },
    retry_on_failure: { ...retry, max_elapsed_time: elapsedMs },
  };
}

/** Whether a queue is on disk. */
export function isOnDisk<Q extends { readonly enabled: boolean; readonly storage?: string | undefined }>(
  queue: Q,
): queue is Q & { readonly storage: string } {
  return queue.enabled && queue.storage !== undefined;
}
