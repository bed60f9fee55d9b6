/** Hands on what it gets, from one pipeline to others. */

import { z } from "zod";
import { defineConnector } from "../../component/define.ts";

export default defineConnector({
  type: "forward",
  description: "Hands data on from pipelines to pipelines.",
  pairs: [{ from: "metrics", to: "metrics", stability: "beta" }],
  config: z.strictObject({}),
  create: ({ next }) => ({ metrics: (batch) => next.metrics(batch) }),
});
