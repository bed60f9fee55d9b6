/** The validated form of every `*_sd_configs` entry and of `static_configs`. */

import type { HttpClientConfig } from "../../transport/http-client-config.ts";
import type { TargetGroup } from "./target-group.ts";

/** All `static_configs` of a job; the source of a group is its index. */
export interface StaticSdConfig {
  readonly kind: "static";
  readonly groups: readonly TargetGroup[];
}

export interface FileSdConfig {
  readonly kind: "file";
  /** Paths that passed `isFileSdPattern`, relative ones already resolved. */
  readonly files: readonly string[];
  /** Time between re-reads without any file event; default five minutes. */
  readonly refreshIntervalMs: number;
}

export interface HttpSdConfig {
  readonly kind: "http";
  readonly url: string;
  /** Time between requests and the limit of one; default one minute. */
  readonly refreshIntervalMs: number;
  readonly http: HttpClientConfig;
}

export type DnsRecordType = "SRV" | "A" | "AAAA" | "MX" | "NS";

export interface DnsSdConfig {
  readonly kind: "dns";
  readonly names: readonly string[];
  readonly type: DnsRecordType;
  /** Port of the targets, unused for SRV, whose records carry one. */
  readonly port: number;
  /** Time between look-ups; default 30 seconds. */
  readonly refreshIntervalMs: number;
}

/** A mechanism that is known but not built: it never yields a target. */
export interface LaterSdConfig {
  readonly kind: "later";
  /** The key as written, e.g. `consul_sd_configs`. */
  readonly key: string;
}

export type SdConfig = StaticSdConfig | FileSdConfig | HttpSdConfig | DnsSdConfig | LaterSdConfig;

const fileSdPattern = /^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$/;

/** True for a path `file_sd_configs` may name: a JSON or YAML file, wildcards in its last segment only. */
export function isFileSdPattern(path: string): boolean {
  return fileSdPattern.test(path);
}
