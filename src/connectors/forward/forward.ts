/** Hands on what it gets, from one pipeline to others. */

import { z } from "zod";
import { defineConnector } from "../../component/define.ts";

export default defineConnector({
  type: "forward",
  description: "Hands data on from pipelines to pipelines.",
  pairs: [
    { from: "metrics", to: "metrics", stability: "beta" },
    { from: "traces", to: "traces", stability: "beta" },
    { from: "logs", to: "logs", stability: "beta" },
  ],
  config: z.strictObject({}),
  create: ({ next }) => ({
    metrics: (batch) => next.metrics(batch),
    traces: (batch) => next.traces(batch),
    logs: (batch) => next.logs(batch),
  }),
});
