/** Shows what arrives, as a summary, a line per point, or in full. */

import { z } from "zod";
import { batchPoints, groupPoints, type ResourceGroup } from "../../codec/otlp-json/group-points.ts";
import { defineExporter } from "../../component/define.ts";
import { isWritten, sectionIssue } from "../../component/section-issues.ts";
import { describeMetrics } from "./describe-metrics.ts";
import { listMetrics } from "./list-metrics.ts";
import { Outputs } from "./outputs.ts";
import { createSampler } from "./sampler.ts";

const count = () => z.number().int().min(0).max(0xffff_ffff);

export default defineExporter({
  type: "debug",
  description: "Writes what arrives to the log, the terminal or files.",
  stability: { metrics: "alpha" },

  config: z
    .strictObject({
      verbosity: z
        .preprocess(
          (word) => (typeof word === "string" ? word.toLowerCase() : word),
          z.enum(["basic", "normal", "detailed"]),
        )
        .default("basic")
        .describe("basic: counts of every batch; normal: a line per point as well; detailed: all of it."),
      sampling_initial: count().default(2).describe("Batches shown in each second before sampling sets in."),
      sampling_thereafter: count()
        .default(1)
        .describe("Of the further batches of a second every n-th is shown; 1 shows all, 0 none."),
      use_internal_logger: z
        .boolean()
        .default(true)
        .describe("Writes through the log of the process; otherwise plain text goes to output_paths."),
      output_paths: z
        .array(z.string().min(1))
        .optional()
        .describe('Where plain text goes: "stdout", "stderr" or files, which are appended to. Default: stdout.'),
      sending_queue: z
        .unknown()
        .optional()
        .describe("Accepted without effect: output is written before data is answered."),
    })
    .superRefine((config, context) => {
      const fault = (message: string) => context.addIssue({ code: "custom", path: ["output_paths"], message });
      if (config.output_paths === undefined) return;
      if (config.use_internal_logger) fault("is not used unless use_internal_logger is false");
      else if (config.output_paths.length === 0) fault("expected at least one path");
    }),

  complete(config, section) {
    if (isWritten(section, ["sending_queue"]))
      section.notice(sectionIssue(section, ["sending_queue"], "has no effect"));
    return config;
  },

  create({ id, config, log, clock }) {
    const isShown = createSampler(clock, config.sampling_initial, config.sampling_thereafter);
    const outputs = config.use_internal_logger ? undefined : new Outputs(id, config.output_paths ?? ["stdout"]);
    return {
      start: async () => outputs?.open(),
      shutdown: async () => outputs?.close(),
      async metrics(batch) {
        if (!isShown()) return;
        const groups = groupPoints(batchPoints(batch));
        const counts = countGroups(groups);
        const text = config.verbosity === "basic" ? undefined : write(config.verbosity, groups);
        if (outputs === undefined) {
          log.info("Metrics", counts);
          if (text !== undefined) log.info(text);
        } else {
          const fields = Object.entries(counts).map(([key, value]) => `"${key}": ${value}`);
          await outputs.write(`Metrics\t{${fields.join(", ")}}\n${text === undefined ? "" : `${text}\n`}`);
        }
      },
    };
  },
});

function write(verbosity: "normal" | "detailed", groups: readonly ResourceGroup[]): string {
  return verbosity === "normal" ? listMetrics(groups) : describeMetrics(groups);
}

function countGroups(groups: readonly ResourceGroup[]) {
  let metrics = 0;
  let points = 0;
  for (const { scopes } of groups) {
    for (const scope of scopes) {
      metrics += scope.metrics.length;
      for (const metric of scope.metrics) points += metric.points.length;
    }
  }
  return { "resource metrics": groups.length, metrics, "data points": points };
}
