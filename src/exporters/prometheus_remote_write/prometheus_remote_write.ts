/** Sends metrics to a Prometheus remote-write receiver. */

import { defineExporter } from "../../component/define.ts";
import { ConfigError } from "../../model/errors.ts";
import { createPost } from "../../prometheus/remote-write/http-post.ts";
import type { RetryPolicy } from "../../prometheus/remote-write/post-request.ts";
import { createRemoteWriteTranslator } from "../../prometheus/translation/remote-write-translator.ts";
import { findFileIssue } from "../../transport/check-files.ts";
import { createPostClient } from "../../transport/post-client.ts";
import { completeRemoteWrite, httpClientConfig, type RemoteWriteExporterConfig, remoteWriteSchema } from "./config.ts";
import { Delivery } from "./delivery.ts";
import { createExporterMetrics } from "./exporter-metrics.ts";
import { MetadataDelivery } from "./metadata-delivery.ts";

const defaultTimeoutMs = 30_000;

export default defineExporter<RemoteWriteExporterConfig>({
  type: "prometheus_remote_write",
  aliases: ["prometheusremotewrite"],
  description: "Sends metrics by Prometheus remote write 1.0.",
  stability: { metrics: "beta" },
  config: remoteWriteSchema,
  complete: completeRemoteWrite,

  create(context) {
    const { id, config, identities, log, meter, clock, host } = context;
    const metrics = createExporterMetrics(meter, log, clock, id);
    const translator = createRemoteWriteTranslator(translation(config), identities);
    const client = createPostClient(httpClientConfig(config), {
      userAgent: `Millrace/${host.version}`,
      tlsKey: "tls",
      env: host.env,
    });
    const headers = Object.fromEntries((config.headers ?? []).map(({ name, value }) => [name, value.reveal()]));
    const post = createPost(() => client, new URL(config.endpoint), headers);
    const queue = config.remote_write_queue;
    const retry = retryPolicy(config);
    const timeoutMs = config.timeout === 0 ? defaultTimeoutMs : config.timeout;
    const delivery = new Delivery(context, metrics, post, { retry, timeoutMs });
    const removeListener = identities.onSweep(() => {
      translator.forget();
      delivery.forget();
    });
    const parts = { post, policy: retry, timeoutMs, now: clock.now, sleep: clock.sleep, random: Math.random };
    const metadata = new MetadataDelivery(parts, metrics);
    return {
      async start() {
        const issue = findFileIssue(client, `exporters::${id}`);
        if (issue !== undefined) throw new ConfigError([issue]);
        await delivery.start();
      },
      async metrics(batch) {
        const translated = translator.translate(batch);
        metrics.untranslated(translated.dropped);
        const { segments } = translated.batch;
        metrics.translated(segments.reduce((sum, { from, to }) => sum + to - from, 0));
        if (segments.length === 0) return;
        const taken = delivery.offer(segments);
        if (config.send_metadata) metadata.send(translator.metadata(batch));
        // With a queue in memory the batch is answered when it is queued; what becomes of it is counted by the observer.
        if (queue.enabled && queue.storage === undefined) taken.catch(() => {});
        else await taken;
      },
      async shutdown(deadline) {
        await Promise.all([delivery.shutdown(deadline), metadata.shutdown(deadline)]);
        removeListener();
        await client.close();
      },
    };
  },
});

function translation(config: RemoteWriteExporterConfig) {
  return {
    namespace: config.namespace,
    externalLabels: config.external_labels,
    translationStrategy: config.translation_strategy,
    addMetricSuffixes: config.add_metric_suffixes,
    disableScopeInfo: config.disable_scope_info,
    resourceToTelemetry: {
      enabled: config.resource_to_telemetry_conversion.enabled,
      excludeServiceAttributes: config.resource_to_telemetry_conversion.exclude_service_attributes,
    },
    targetInfo: config.target_info.enabled,
  };
}

function retryPolicy({ retry_on_failure: retry }: RemoteWriteExporterConfig): RetryPolicy {
  return {
    enabled: retry.enabled,
    initialMs: Math.max(1, retry.initial_interval),
    maxMs: Math.max(1, retry.max_interval),
    multiplier: retry.multiplier,
    randomization: retry.randomization_factor,
    maxElapsedMs: retry.max_elapsed_time,
    retryOn429: true,
  };
}
