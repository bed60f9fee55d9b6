/** Edits the attributes of resources: insert, update, upsert, delete, hash, extract, convert. */

import { z } from "zod";
import { compileActions } from "../../component/apply-actions.ts";
import { attributeActions, completeActions } from "../../component/attribute-actions.ts";
import { defineProcessor } from "../../component/define.ts";
import { mapSeries } from "../../component/map-series.ts";

export default defineProcessor({
  type: "resource",
  description: "Edits the attributes of resources.",
  stability: { metrics: "beta" },

  config: z.strictObject({ attributes: attributeActions() }),

  complete: (config, section) => ({ attributes: completeActions(config.attributes, section, "attributes") }),

  create({ config }) {
    const edit = compileActions(config.attributes);
    return {
      metrics: mapSeries((series) => {
        const attributes = edit(series.resource.attributes);
        if (attributes === series.resource.attributes) return series;
        return { ...series, resource: { ...series.resource, attributes } };
      }),
    };
  },
});
