/** Scrapes Prometheus targets with the `scrape_configs` that people have. */

import type { MetricsConsumer } from "../../component/consumer.ts";
import { type CreateContext, defineReceiver } from "../../component/define.ts";
import { countRows } from "../../model/batch.ts";
import { ConsumeError } from "../../model/errors.ts";
import { defaultOwnLimits } from "../../prometheus/scrape/scrape-environment.ts";
import type { ScrapeManager } from "../../prometheus/scrape/scrape-manager.ts";
import { createScrapeManager } from "../../prometheus/scrape/scrape-service.ts";
import { contribScopeName } from "../../prometheus/translation/scrape-origin.ts";
import { completePrometheus, type PrometheusReceiverConfig, prometheusSchema, scrapeConfiguration } from "./config.ts";
import { createReceiverMetrics } from "./receiver-metrics.ts";

export default defineReceiver<PrometheusReceiverConfig>({
  type: "prometheus",
  description: "Scrapes Prometheus targets.",
  stability: { metrics: "beta" },
  config: prometheusSchema,
  complete: completePrometheus,

  create(context) {
    let config = context.config;
    let manager = createManager(context, config);
    return {
      start: () => manager.apply(scrapeConfiguration(config)),
      reconfigure: async (wanted) => {
        // Jobs change without a stop; what concerns all series needs new caches.
        if (sharedSettings(wanted) !== sharedSettings(config)) {
          await manager.close(new AbortController().signal);
          manager = createManager(context, wanted);
        }
        config = wanted;
        await manager.apply(scrapeConfiguration(wanted));
      },
      shutdown: (deadline) => manager.close(deadline),
    };
  },
});

function sharedSettings(config: PrometheusReceiverConfig): string {
  const { limits, trim_metric_suffixes, initial_scrape_offset, scrape_on_shutdown } = config;
  const { externalLabels } = scrapeConfiguration(config).global;
  return JSON.stringify([externalLabels, limits, trim_metric_suffixes, initial_scrape_offset, scrape_on_shutdown]);
}

function createManager(
  context: CreateContext<PrometheusReceiverConfig> & { readonly next: MetricsConsumer },
  config: PrometheusReceiverConfig,
): ScrapeManager {
  const { id, identities, log, meter, clock, host, next } = context;
  const metrics = createReceiverMetrics(meter, id);
  return createScrapeManager({
    identities,
    clock,
    log,
    metrics,
    ownLimits: {
      bodyBytes: config.limits.page_size ?? defaultOwnLimits.bodyBytes,
      allPagesBytes: config.limits.all_pages_size ?? defaultOwnLimits.allPagesBytes,
      lineBytes: config.limits.line_size ?? defaultOwnLimits.lineBytes,
      seriesPerTarget: config.limits.series_per_target,
      labelsPerSeries: config.limits.labels_per_series,
    },
    userAgent: `Millrace/${host.version}`,
    env: host.env ?? {},
    externalLabels: scrapeConfiguration(config).global.externalLabels,
    scopeName: contribScopeName,
    scopeVersion: host.version,
    trimMetricSuffixes: config.trim_metric_suffixes,
    readsOtlp: true,
    initialOffsetMs: config.initial_scrape_offset,
    scrapeOnShutdown: config.scrape_on_shutdown,
    deliver: async (batch) => {
      const rows = countRows(batch);
      try {
        await next.metrics(batch);
        metrics.accepted(rows);
      } catch (error) {
        const rejected = rejectedPart(error);
        metrics.refused(rejected ?? rows);
        if (rejected === undefined) throw error;
        // The rest of the page was taken: its series are known to whoever took it.
        metrics.accepted(Math.max(0, rows - rejected));
      }
    },
  });
}

/** How much was refused for good where the rest was taken; undefined for any other error. */
function rejectedPart(error: unknown): number | undefined {
  return error instanceof ConsumeError && error.permanent ? error.rejectedItems : undefined;
}
