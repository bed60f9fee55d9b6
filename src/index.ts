/** millrace: a collector within another program. */

export { systemClock } from "./collector/clock.ts";
export { Collector, type CollectorOptions, defaultShutdownTimeoutMs, validateConfig } from "./collector/collector.ts";
export type { ConfigSources } from "./collector/load-config.ts";
export { SwitchableLogger } from "./collector/switchable-logger.ts";
export { productVersion } from "./collector/version.ts";
export { ConfigError, type ConfigIssue, formatConfigIssue, type SourcePosition } from "./model/errors.ts";
