/** Renames a label of every series: a processor of one's own. Run it with `millrace run --config rename_label.yaml`. */

import { defineProcessor, mapSeries, z } from "millrace/component";

export default defineProcessor({
  type: "rename_label",
  description: "Renames a label.",
  stability: { metrics: "development" },

  config: z.strictObject({
    from: z.string().min(1).describe("Label to rename. Series without it pass unchanged."),
    to: z.string().min(1).describe("Its new name. A label that has this name already is replaced."),
  }),

  // The function runs once per series; what it gives is remembered, however many samples follow.
  create: ({ config }) => ({
    metrics: mapSeries((series) => {
      const value = series.attributes.get(config.from);
      if (value === undefined) return series;
      const attributes = new Map(series.attributes);
      attributes.delete(config.from);
      attributes.set(config.to, value);
      return { ...series, attributes };
    }),
  }),
});
