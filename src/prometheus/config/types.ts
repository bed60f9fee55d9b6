/** A decoded Prometheus configuration: defaults filled in, inheritance from `global` done, file paths resolved. */

import type { SourcePosition } from "../../model/errors.ts";
import type { HttpClientConfig } from "../../transport/http-client-config.ts";
import type { SdConfig } from "../discovery/sd-config.ts";
import type { NameScheme } from "../relabel/names.ts";
import type { RelabelRule } from "../relabel/relabel-rule.ts";

export type EscapingScheme = "allow-utf-8" | "underscores" | "dots" | "values";

/** Every protocol name that a configuration may hold; `PrometheusProto` and `OpenMetricsText2.0.0` are never asked for. */
export type ScrapeProtocol =
  | "PrometheusProto"
  | "PrometheusText0.0.4"
  | "PrometheusText1.0.0"
  | "OpenMetricsText0.0.1"
  | "OpenMetricsText1.0.0"
  | "OpenMetricsText2.0.0";

/** Limits that a job inherits from `global`; 0 is no limit. */
export interface ScrapeLimits {
  /** Uncompressed bytes of a page; a page of exactly this size is refused too. Negative is no limit. */
  readonly bodySizeLimitBytes: number;
  readonly sampleLimit: number;
  readonly targetLimit: number;
  readonly labelLimit: number;
  readonly labelNameLengthLimit: number;
  readonly labelValueLengthLimit: number;
  /** How many dropped targets are kept for the API. */
  readonly keepDroppedTargets: number;
}

export interface GlobalConfig extends ScrapeLimits {
  readonly scrapeIntervalMs: number;
  readonly scrapeTimeoutMs: number;
  readonly evaluationIntervalMs: number;
  readonly ruleQueryOffsetMs: number;
  readonly queryLogFile: string;
  readonly scrapeFailureLogFile: string;
  /** Undefined where the file names none. */
  readonly scrapeProtocols: readonly ScrapeProtocol[] | undefined;
  /** Sorted by name, `$X` replaced. */
  readonly externalLabels: readonly (readonly [name: string, value: string])[];
  readonly metricNameValidationScheme: NameScheme;
  readonly metricNameEscapingScheme: EscapingScheme;
  readonly scrapeNativeHistograms: boolean;
  readonly convertClassicHistogramsToNhcb: boolean;
  readonly alwaysScrapeClassicHistograms: boolean;
  readonly extraScrapeMetrics: boolean;
}

export interface ScrapeConfig extends ScrapeLimits {
  readonly jobName: string;
  readonly honorLabels: boolean;
  readonly honorTimestamps: boolean;
  readonly trackTimestampsStaleness: boolean;
  readonly params: Readonly<Record<string, readonly string[]>>;
  readonly scrapeIntervalMs: number;
  readonly scrapeTimeoutMs: number;
  /** As configured or by default, in order of preference; holds names that are not built too, see `ScrapeProtocol`. */
  readonly scrapeProtocols: readonly ScrapeProtocol[];
  readonly fallbackScrapeProtocol: ScrapeProtocol | undefined;
  readonly scrapeNativeHistograms: boolean;
  readonly alwaysScrapeClassicHistograms: boolean;
  readonly convertClassicHistogramsToNhcb: boolean;
  readonly scrapeFailureLogFile: string;
  readonly metricsPath: string;
  readonly scheme: string;
  readonly enableCompression: boolean;
  readonly nativeHistogramBucketLimit: number;
  readonly nativeHistogramMinBucketFactor: number;
  readonly metricNameValidationScheme: NameScheme;
  readonly metricNameEscapingScheme: EscapingScheme;
  readonly extraScrapeMetrics: boolean;
  readonly relabelConfigs: readonly RelabelRule[];
  readonly metricRelabelConfigs: readonly RelabelRule[];
  readonly sdConfigs: readonly SdConfig[];
  readonly http: HttpClientConfig;
  /** Equal for two jobs exactly where everything above is equal; a hash, so it may be logged. */
  readonly fingerprint: string;
  /** Where the job begins in its file. */
  readonly at: SourcePosition | undefined;
}

export interface QueueConfig {
  readonly capacity: number;
  readonly maxShards: number;
  readonly minShards: number;
  readonly maxSamplesPerSend: number;
  readonly batchSendDeadlineMs: number;
  readonly minBackoffMs: number;
  readonly maxBackoffMs: number;
  /** Undefined where the file does not say, so that the product's own default can apply. */
  readonly retryOnHttp429: boolean | undefined;
  /** 0 is no limit. */
  readonly sampleAgeLimitMs: number;
}

export interface MetadataConfig {
  readonly send: boolean;
  readonly sendIntervalMs: number;
  readonly maxSamplesPerSend: number;
}

export type RemoteWriteMessage = "prometheus.WriteRequest" | "io.prometheus.write.v2.Request";

export interface RemoteWriteConfig {
  readonly url: string;
  /** As written or, without one, six hex digits that Prometheus would choose. */
  readonly name: string;
  /** The name is written. */
  readonly isNamed: boolean;
  readonly remoteTimeoutMs: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly writeRelabelConfigs: readonly RelabelRule[];
  readonly sendExemplars: boolean;
  readonly sendNativeHistograms: boolean;
  readonly roundRobinDns: boolean;
  readonly failedRequestLogging: boolean;
  /** What the file asks for; only `prometheus.WriteRequest` is built. */
  readonly protobufMessage: RemoteWriteMessage;
  readonly http: HttpClientConfig;
  readonly queueConfig: QueueConfig;
  readonly metadataConfig: MetadataConfig;
  /** Equal for two entries exactly where everything above is equal; a hash, so it may be logged. */
  readonly fingerprint: string;
  readonly at: SourcePosition | undefined;
}

export interface PrometheusConfig {
  readonly global: GlobalConfig;
  /** The jobs of the file itself, then those of `scrape_config_files`. */
  readonly scrapeConfigs: readonly ScrapeConfig[];
  /** The patterns as resolved. */
  readonly scrapeConfigFiles: readonly string[];
  /** The files that the patterns matched and that were read, for reload by content. */
  readonly scrapeConfigFilesRead: readonly string[];
  /** Always empty in receiver mode. */
  readonly remoteWrite: readonly RemoteWriteConfig[];
}
