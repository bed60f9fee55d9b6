/** Turns what discovery counts into the `prometheus_sd_*` metrics. */

import type { Meter } from "../component/telemetry.ts";
import type { DiscoveryMetrics } from "../prometheus/discovery/provider.ts";

export function createDiscoveryMetrics(meter: Meter): DiscoveryMetrics {
  const failures = meter.counter("prometheus_sd_refresh_failures_total", {
    help: "Refreshes that failed, by mechanism.",
  });
  const seconds = meter.histogram("prometheus_sd_refresh_duration_histogram_seconds", {
    help: "How long refreshes took.",
    buckets: [0.01, 0.1, 1, 10],
  });
  const targets = meter.gauge("prometheus_sd_discovered_targets", { help: "Current number of discovered targets." });
  const updates = meter.counter("prometheus_sd_updates_total", { help: "Updates of targets passed on." });
  return {
    refreshed: (mechanism, _config, elapsed) => seconds.with({ mechanism }).record(elapsed),
    refreshFailures: (mechanism, config) => failures.with({ mechanism, config }).add(1),
    discoveredTargets: (job, count) => {
      targets.with({ name: "scrape", config: job }).value = count;
      updates.with({ name: "scrape" }).add(1);
    },
  };
}
