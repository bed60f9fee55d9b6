/** Edits the attributes of data points, spans and log records: insert, update, upsert, delete, hash, extract, convert. */

import { z } from "zod";
import { compileActions, compileChanges, contextKeysOf } from "../../component/apply-actions.ts";
import { attributeActions, completeActions } from "../../component/attribute-actions.ts";
import { defineProcessor } from "../../component/define.ts";
import { editRequests, type RequestEdit } from "../../component/edit-request.ts";
import { mapSeries } from "../../component/map-series.ts";
import { ConfigError } from "../../model/errors.ts";
import { compileMatch, matchIssues, matchSection, noticeMatch } from "./match-config.ts";
import { compileItemMatch } from "./match-items.ts";

export default defineProcessor({
  type: "attributes",
  description: "Edits the attributes of data points, spans and log records.",
  stability: { metrics: "beta", traces: "beta", logs: "beta" },

  config: z.strictObject({
    include: matchSection("Only what matches is edited; the rest passes unchanged."),
    exclude: matchSection("What matches passes unchanged, even when it is included."),
    actions: attributeActions(),
  }),

  complete(config, section) {
    noticeMatch(config, section);
    return { ...config, actions: completeActions(config.actions, section, "actions") };
  },

  create({ id, config, signals }) {
    const { include, exclude } = config;
    const signal = signals?.[0] ?? "metrics";
    const issues = [...matchIssues(include, "include", signal), ...matchIssues(exclude, "exclude", signal)];
    if (issues.length > 0) {
      throw new ConfigError(issues.map((issue) => ({ ...issue, path: `processors::${id}::${issue.path}` })));
    }
    const edit = compileActions(config.actions);
    const isIncluded = compileMatch(include, true);
    const isExcluded = compileMatch(exclude, false);
    const change = compileChanges(config.actions);
    const isItemIncluded = compileItemMatch(include, signal, true);
    const isItemExcluded = compileItemMatch(exclude, signal, false);
    const requestEdit: RequestEdit = {
      item:
        include === undefined && exclude === undefined
          ? (attributes, _item, client) => change(attributes, client)
          : (attributes, item, client) => {
              if (isItemIncluded(attributes, item) && !isItemExcluded(attributes, item)) change(attributes, client);
            },
    };
    return {
      metrics: mapSeries(
        (series, client) => {
          if (!isIncluded(series.metric.name) || isExcluded(series.metric.name)) return series;
          const attributes = edit(series.attributes, client);
          return attributes === series.attributes ? series : { ...series, attributes };
        },
        { contextKeys: contextKeysOf(config.actions) },
      ),
      // Without await: what waits for the answer would keep the bytes that came in.
      traces: async (batch, next) => next.traces(editRequests(batch, requestEdit)),
      logs: async (batch, next) => next.logs(editRequests(batch, requestEdit)),
    };
  },
});
