import { expect, test } from "vitest";
import { MetricRegistry } from "../component/metric-registry.ts";
import { createDiscoveryMetrics } from "./discovery-metrics.ts";

function valuesOf(registry: MetricRegistry): Record<string, number> {
  const values: Record<string, number> = {};
  for (const { name, type, samples } of registry.collect()) {
    if (type === "histogram") continue;
    for (const { labels, value } of samples) values[[name, ...Object.values(labels)].join(" ")] = value;
  }
  return values;
}

test("counts under the names of a Prometheus agent, from 0 on, and forgets jobs that are gone", () => {
  const registry = new MetricRegistry();
  const metrics = createDiscoveryMetrics(registry);
  const atStart = {
    prometheus_sd_dns_lookup_failures_total: 0,
    prometheus_sd_dns_lookups_total: 0,
    prometheus_sd_file_read_errors_total: 0,
    prometheus_sd_http_failures_total: 0,
    "prometheus_sd_received_updates_total scrape": 0,
    "prometheus_sd_updates_total scrape": 0,
  };
  expect(valuesOf(registry)).toEqual(atStart);
  metrics.fileReadErrors?.();
  metrics.dnsLookups?.(true);
  metrics.dnsLookups?.(false);
  metrics.refreshFailures?.("http", "job");
  metrics.refreshFailures?.("dns", "job");
  metrics.receivedUpdates?.();
  metrics.updates?.();
  metrics.discoveredTargets?.("job", 3);
  metrics.discoveredTargets?.("gone", 1);
  metrics.forgetJob?.("gone");
  expect(valuesOf(registry)).toEqual({
    prometheus_sd_dns_lookup_failures_total: 1,
    prometheus_sd_dns_lookups_total: 2,
    prometheus_sd_file_read_errors_total: 1,
    prometheus_sd_http_failures_total: 1,
    "prometheus_sd_received_updates_total scrape": 1,
    "prometheus_sd_updates_total scrape": 1,
    "prometheus_sd_refresh_failures_total http job": 1,
    "prometheus_sd_refresh_failures_total dns job": 1,
    "prometheus_sd_discovered_targets scrape job": 3,
  });
});
