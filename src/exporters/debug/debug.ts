/** Shows what arrives, as a summary, a line per point, or in full. */

import { z } from "zod";
import { decodeLogs } from "../../codec/otlp/logs-data.ts";
import { decodeTraces } from "../../codec/otlp/traces-data.ts";
import { batchPoints, groupPoints, type ResourceGroup } from "../../codec/otlp-json/group-points.ts";
import { keysTogether } from "../../codec/yaml/field-types.ts";
import { defineExporter } from "../../component/define.ts";
import { isWritten, sectionIssue } from "../../component/section-issues.ts";
import { ConsumeError, DecodeError } from "../../model/errors.ts";
import type { LogsBatch, TracesBatch } from "../../model/otlp-request.ts";
import { describeMetrics } from "./describe-metrics.ts";
import { listMetrics } from "./list-metrics.ts";
import { countLogs, describeLogs, listLogs } from "./logs-text.ts";
import { Outputs } from "./outputs.ts";
import { createSampler } from "./sampler.ts";
import { countTraces, describeTraces, listTraces } from "./traces-text.ts";

const count = () => z.number().int().min(0).max(0xffff_ffff);

export default defineExporter({
  type: "debug",
  description: "Writes what arrives to the log, the terminal or files.",
  stability: { metrics: "alpha", traces: "alpha", logs: "alpha" },

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
    .check(
      keysTogether((config, addFault) => {
        const fault = (message: string) => addFault(["output_paths"], message);
        if (config.output_paths === undefined) return;
        if (config.use_internal_logger) fault("is not used unless use_internal_logger is false");
        else if (config.output_paths.length === 0) fault("expected at least one path");
      }),
    ),

  complete(config, section) {
    if (isWritten(section, ["sending_queue"]))
      section.notice(sectionIssue(section, ["sending_queue"], "has no effect"));
    return config;
  },

  create({ id, config, log, clock }) {
    const newSampler = () => createSampler(clock, config.sampling_initial, config.sampling_thereafter);
    const isShown = { metrics: newSampler(), traces: newSampler(), logs: newSampler() };
    const outputs = config.use_internal_logger ? undefined : new Outputs(id, config.output_paths ?? ["stdout"]);
    const show = async (title: string, counts: Readonly<Record<string, number>>, text: Texts) => {
      const more = config.verbosity === "basic" ? undefined : text[config.verbosity]();
      if (outputs === undefined) {
        log.info(title, counts);
        if (more !== undefined) log.info(more);
      } else {
        const fields = Object.entries(counts).map(([key, value]) => `"${key}": ${value}`);
        await outputs.write(`${title}\t{${fields.join(", ")}}\n${more === undefined ? "" : `${more}\n`}`);
      }
    };
    return {
      start: async () => outputs?.open(),
      shutdown: async () => outputs?.close(),
      async metrics(batch) {
        if (!isShown.metrics()) return;
        const groups = groupPoints(batchPoints(batch));
        await show("Metrics", countGroups(groups), {
          normal: () => listMetrics(groups),
          detailed: () => describeMetrics(groups),
        });
      },
      async traces(batch) {
        if (!isShown.traces()) return;
        const resources = decoded(batch, decodeTraces);
        await show("Traces", countTraces(resources), {
          normal: () => listTraces(resources),
          detailed: () => describeTraces(resources),
        });
      },
      async logs(batch) {
        if (!isShown.logs()) return;
        const resources = decoded(batch, decodeLogs);
        await show("Logs", countLogs(resources), {
          normal: () => listLogs(resources),
          detailed: () => describeLogs(resources),
        });
      },
    };
  },
});

/** The text of each verbosity, made when it is asked for. */
interface Texts {
  normal(): string;
  detailed(): string;
}

/** The resources of all requests. Throws a permanent ConsumeError for bytes that are none. */
function decoded<R>({ signal, requests }: TracesBatch | LogsBatch, decode: (bytes: Uint8Array) => readonly R[]): R[] {
  try {
    return requests.flatMap(({ bytes }) => decode(bytes));
  } catch (caught) {
    if (!(caught instanceof DecodeError)) throw caught;
    const message = `${signal} cannot be decoded: ${caught.message}`;
    throw new ConsumeError("CONSUME_REJECTED", message, { permanent: true, cause: caught });
  }
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
