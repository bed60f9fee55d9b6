/** Edits the attributes of resources: insert, update, upsert, delete, hash, extract, convert. */

import { z } from "zod";
import { compileActions, compileChanges, contextKeysOf } from "../../component/apply-actions.ts";
import { attributeActions, completeActions } from "../../component/attribute-actions.ts";
import { defineProcessor } from "../../component/define.ts";
import { editRequests, type RequestEdit } from "../../component/edit-request.ts";
import { mapSeries } from "../../component/map-series.ts";

export default defineProcessor({
  type: "resource",
  description: "Edits the attributes of resources.",
  stability: { metrics: "beta", traces: "beta", logs: "beta" },

  config: z.strictObject({ attributes: attributeActions() }),

  complete: (config, section) => ({ attributes: completeActions(config.attributes, section, "attributes") }),

  create({ config }) {
    const edit = compileActions(config.attributes);
    const requestEdit: RequestEdit = { resource: compileChanges(config.attributes) };
    return {
      metrics: mapSeries(
        (series, client) => {
          const attributes = edit(series.resource.attributes, client);
          if (attributes === series.resource.attributes) return series;
          return { ...series, resource: { ...series.resource, attributes } };
        },
        { contextKeys: contextKeysOf(config.attributes) },
      ),
      // Without await: what waits for the answer would keep the bytes that came in.
      traces: async (batch, next) => next.traces(editRequests(batch, requestEdit)),
      logs: async (batch, next) => next.logs(editRequests(batch, requestEdit)),
    };
  },
});
