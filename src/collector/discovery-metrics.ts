/** Turns what discovery counts into the `prometheus_sd_*` metrics. */

import type { Meter } from "../component/telemetry.ts";
import type { DiscoveryMetrics } from "../prometheus/discovery/provider.ts";

const prefix = "prometheus_sd_";

export function createDiscoveryMetrics(meter: Meter): DiscoveryMetrics {
  const counter = (name: string, help: string) => meter.counter(`${prefix}${name}`, { help });
  const failures = counter("refresh_failures_total", "Refreshes that failed, by mechanism.");
  const seconds = meter.histogram(`${prefix}refresh_duration_histogram_seconds`, {
    help: "How long refreshes took.",
    buckets: [0.01, 0.1, 1, 10],
  });
  const targets = meter.gauge(`${prefix}discovered_targets`, { help: "Current number of discovered targets." });
  const ofScrape = { name: "scrape" };
  // These are at 0 from the start, as Prometheus has them.
  const updates = counter("updates_total", "Updates of targets passed on.").with(ofScrape);
  const received = counter("received_updates_total", "Updates of targets that came from mechanisms.").with(ofScrape);
  const readErrors = counter("file_read_errors_total", "Files of targets that could not be read.").with({});
  const lookups = counter("dns_lookups_total", "Names that were looked up.").with({});
  const lookupFailures = counter("dns_lookup_failures_total", "Names that could not be looked up.").with({});
  const httpFailures = counter("http_failures_total", "Refreshes over HTTP that failed.").with({});
  return {
    refreshed: (mechanism, _config, elapsed) => seconds.with({ mechanism }).record(elapsed),
    refreshFailures: (mechanism, config) => {
      failures.with({ mechanism, config }).add(1);
      if (mechanism === "http") httpFailures.add(1);
    },
    discoveredTargets: (job, count) => {
      targets.with({ ...ofScrape, config: job }).value = count;
    },
    forgetJob: (job) => targets.remove({ ...ofScrape, config: job }),
    fileReadErrors: () => readErrors.add(1),
    dnsLookups: (hasFailed) => {
      lookups.add(1);
      if (hasFailed) lookupFailures.add(1);
    },
    receivedUpdates: () => received.add(1),
    updates: () => updates.add(1),
  };
}
