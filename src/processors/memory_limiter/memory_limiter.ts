/** Refuses data, retryably, while the process uses too much memory. */

import { z } from "zod";
import { duration, keysTogether } from "../../codec/yaml/field-types.ts";
import { defineProcessor } from "../../component/define.ts";
import { type AnyBatch, countItems } from "../../model/any-batch.ts";
import { ConsumeError } from "../../model/errors.ts";
import type { Signal } from "../../model/otlp-request.ts";
import { MemoryLimiter, type MemorySource, memoryLimits } from "./limiter.ts";
import { processMemory } from "./process-memory.ts";

const mebibytes = () => z.number().int().min(0).max(0xffff_ffff).default(0);
const percentage = () => z.number().int().min(0).max(100).default(0);

const config = z
  .strictObject({
    check_interval: duration()
      .default(0)
      .describe("Time between two looks at the memory in use. Required; 1s is a good choice."),
    limit_mib: mebibytes().describe("Hard limit, in MiB of resident memory. 0: limit_percentage counts."),
    spike_limit_mib: mebibytes().describe(
      "How far below the hard limit data is refused already, in MiB. 0: a fifth of the limit.",
    ),
    limit_percentage: percentage().describe("Hard limit in percent of the memory of the container or the machine."),
    spike_limit_percentage: percentage().describe("The same as spike_limit_mib in percent of that memory."),
    min_gc_interval_when_soft_limited: duration()
      .default(10_000)
      .describe("Shortest time between two forced garbage collections below the hard limit."),
    min_gc_interval_when_hard_limited: duration()
      .default(0)
      .describe("Shortest time between two forced garbage collections above the hard limit."),
    max_gc_interval_when_soft_limited: duration().default(30_000).describe("Accepted without effect."),
    max_gc_interval_when_hard_limited: duration().default(30_000).describe("Accepted without effect."),
  })
  .check(
    keysTogether(
      (limits, fault) => {
        if (limits.check_interval === 0) fault(["check_interval"], "expected a duration greater than zero");
      },
      (limits, fault) => {
        if (limits.limit_mib === 0 && limits.limit_percentage === 0) {
          fault(["limit_mib"], "required: limit_mib or limit_percentage");
        }
      },
      (limits, fault) => {
        if (limits.limit_mib > 0 && limits.spike_limit_mib >= limits.limit_mib) {
          fault(["spike_limit_mib"], `expected less than limit_mib (${limits.limit_mib})`);
        }
      },
      (limits, fault) => {
        if (limits.limit_percentage > 0 && limits.spike_limit_percentage >= limits.limit_percentage) {
          fault(["spike_limit_percentage"], `expected less than limit_percentage (${limits.limit_percentage})`);
        }
      },
      (limits, fault) => {
        if (limits.min_gc_interval_when_soft_limited < limits.min_gc_interval_when_hard_limited) {
          fault(["min_gc_interval_when_soft_limited"], "expected at least min_gc_interval_when_hard_limited");
        }
      },
    ),
  );

/** What the items of a signal are called in the names of metrics, and in their texts. */
const itemNames: Readonly<Record<Signal, readonly [name: string, text: string]>> = {
  metrics: ["metric_points", "metric points"],
  traces: ["spans", "spans"],
  logs: ["log_records", "log records"],
};

/** What senders are asked to wait at least. */
const minRetryAfterMs = 1000;

/** The processor over a source of memory figures; tests bring their own. */
export function defineMemoryLimiter(memory: MemorySource) {
  return defineProcessor({
    type: "memory_limiter",
    description: "Refuses data while the process uses too much memory.",
    stability: { metrics: "beta", traces: "beta", logs: "beta" },
    config,
    create({ id, config: settings, clock, log, meter, host, spawn, signals }) {
      const limiter = new MemoryLimiter(settings, memory, { clock, log, host });
      const [name, text] = itemNames[signals?.[0] ?? "metrics"];
      const counter = (what: string, help: string) =>
        meter
          .counter(`otelcol_processor_memory_limiter_${what}_${name}`, { help: `Number of ${text} ${help}` })
          .with({ processor: id });
      const accepted = counter("accepted", "successfully pushed into the next component");
      const refused = counter("refused", "that were refused because of high memory usage");
      spawn("check", (signal) => limiter.run(signal));
      const admit = (batch: AnyBatch) => {
        const items = countItems(batch);
        if (!limiter.mustRefuse) {
          accepted.add(items);
          return;
        }
        refused.add(items);
        throw new ConsumeError("CONSUME_MEMORY_LIMIT", "data refused due to high memory usage", {
          permanent: false,
          retryAfterMs: Math.max(minRetryAfterMs, settings.check_interval),
        });
      };
      return {
        async start() {
          const { hardBytes, softBytes } = memoryLimits(settings, memory);
          log.info("Memory limiter configured", {
            limit_mib: Math.round(hardBytes / 2 ** 20),
            spike_limit_mib: Math.round((hardBytes - softBytes) / 2 ** 20),
            check_interval: `${settings.check_interval}ms`,
          });
        },
        async metrics(batch, next) {
          admit(batch);
          await next.metrics(batch);
        },
        async traces(batch, next) {
          admit(batch);
          await next.traces(batch);
        },
        async logs(batch, next) {
          admit(batch);
          await next.logs(batch);
        },
      };
    },
  });
}

export default defineMemoryLimiter(processMemory);
