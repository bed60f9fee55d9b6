/** Edits the attributes of data points: insert, update, upsert, delete, hash, extract, convert. */

import { z } from "zod";
import { compileActions } from "../../component/apply-actions.ts";
import { attributeActions, completeActions } from "../../component/attribute-actions.ts";
import { defineProcessor } from "../../component/define.ts";
import { mapSeries } from "../../component/map-series.ts";
import { compileMatch, matchSection, noticeMatch } from "./match-metrics.ts";

export default defineProcessor({
  type: "attributes",
  description: "Edits the attributes of data points.",
  stability: { metrics: "beta" },

  config: z.strictObject({
    include: matchSection("Only metrics that match are edited; the others pass unchanged."),
    exclude: matchSection("Metrics that match pass unchanged, even when they are included."),
    actions: attributeActions(),
  }),

  complete(config, section) {
    noticeMatch(config, section);
    return { ...config, actions: completeActions(config.actions, section, "actions") };
  },

  create({ config }) {
    const edit = compileActions(config.actions);
    const isIncluded = compileMatch(config.include, true);
    const isExcluded = compileMatch(config.exclude, false);
    return {
      metrics: mapSeries((series) => {
        if (!isIncluded(series.metric.name) || isExcluded(series.metric.name)) return series;
        const attributes = edit(series.attributes);
        return attributes === series.attributes ? series : { ...series, attributes };
      }),
    };
  },
});
