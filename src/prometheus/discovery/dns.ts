/** Targets that DNS records name. */

import { Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { toError } from "../../model/errors.ts";
import { FaultLog, type Provider, type ProviderContext, refreshRepeatedly } from "./provider.ts";
import { candidateNames, parseResolvConf, type SearchRules } from "./resolv-conf.ts";
import type { DnsSdConfig } from "./sd-config.ts";
import { type Labels, type TargetGroup, toLabels } from "./target-group.ts";

/** The part of `node:dns/promises` Resolver that is used. It asks for exactly the name given, without a search list. */
export interface DnsResolver {
  resolve4(name: string): Promise<string[]>;
  resolve6(name: string): Promise<string[]>;
  resolveSrv(name: string): Promise<readonly { readonly name: string; readonly port: number }[]>;
  resolveMx(name: string): Promise<readonly { readonly exchange: string }[]>;
  resolveNs(name: string): Promise<string[]>;
  /** Makes all questions under way fail. */
  cancel(): void;
}

/** Where answers come from; the default is the system's. */
export interface DnsSource {
  /** Called for every refresh, so that a changed list of name servers is noticed. */
  createResolver(): DnsResolver;
  /** The text of `/etc/resolv.conf`. */
  readResolvConf(): Promise<string>;
}

const queryTimeoutMs = 5_000;
const queryTries = 2;

/** Name servers and search list of this machine. */
export const systemDns: DnsSource = {
  createResolver: () => new Resolver({ timeout: queryTimeoutMs, tries: queryTries }),
  readResolvConf: () => readFile("/etc/resolv.conf", "utf8"),
};

/**
 * Looks all names up once per interval. A name that does not exist has no targets; one whose servers fail keeps its
 * old ones.
 */
export function createDnsProvider(config: DnsSdConfig, source: DnsSource = systemDns): Provider {
  return (context) => {
    const faults = new FaultLog(context.log);
    const refresh = (signal: AbortSignal) => lookUpAll(config, source, context, faults, signal);
    return refreshRepeatedly(context, { mechanism: "dns", intervalMs: config.refreshIntervalMs, refresh });
  };
}

async function lookUpAll(
  config: DnsSdConfig,
  source: DnsSource,
  { metrics, config: job }: ProviderContext,
  faults: FaultLog,
  signal: AbortSignal,
): Promise<TargetGroup[]> {
  const rules = parseResolvConf(await source.readResolvConf());
  const resolver = source.createResolver();
  const cancel = () => resolver.cancel();
  signal.addEventListener("abort", cancel);
  const groups: TargetGroup[] = [];
  const lookUp = async (name: string) => {
    try {
      groups.push(await lookUpName(name, config, rules, resolver, signal));
      faults.clear(name);
      metrics.dnsLookups?.(false);
    } catch (error) {
      if (signal.aborted) return;
      metrics.dnsLookups?.(true);
      const fields = { name, type: config.type, job };
      faults.report(name, "name could not be resolved, its old targets stay", error, fields);
    }
  };
  try {
    await Promise.all(config.names.map(lookUp));
  } finally {
    signal.removeEventListener("abort", cancel);
  }
  return groups;
}

async function lookUpName(
  name: string,
  config: DnsSdConfig,
  rules: SearchRules,
  resolver: DnsResolver,
  signal: AbortSignal,
): Promise<TargetGroup> {
  let fault: unknown;
  for (const candidate of candidateNames(name, rules)) {
    if (signal.aborted) throw toError(signal.reason);
    try {
      const records = await queryRecords(candidate, config, resolver);
      return { source: name, targets: records.map((record) => describeRecord(name, record)), labels: toLabels([]) };
    } catch (error) {
      const code = errorCode(error);
      // An existing name without such records ends the search; a name that does not exist lets it go on.
      if (code === "ENODATA") return { source: name, targets: [], labels: toLabels([]) };
      if (code !== "ENOTFOUND") fault = error;
    }
  }
  // Only when every server said of every name that it does not exist is that so.
  if (fault !== undefined) throw fault;
  return { source: name, targets: [], labels: toLabels([]) };
}

function errorCode(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

interface DnsRecord {
  readonly host: string;
  readonly port: number;
  readonly meta: Labels;
}

async function queryRecords(name: string, config: DnsSdConfig, resolver: DnsResolver): Promise<DnsRecord[]> {
  const { port } = config;
  const named = (host: string, label: string): DnsRecord => ({
    host: withoutDot(host),
    port,
    meta: toLabels([[label, withDot(host)]]),
  });
  const plain = (host: string): DnsRecord => ({ host, port, meta: toLabels([]) });
  switch (config.type) {
    case "A":
      return (await resolver.resolve4(name)).map(plain);
    case "AAAA":
      return (await resolver.resolve6(name)).map(plain);
    case "MX":
      return (await resolver.resolveMx(name)).map((mx) => named(mx.exchange, "__meta_dns_mx_record_target"));
    case "NS":
      return (await resolver.resolveNs(name)).map((host) => named(host, "__meta_dns_ns_record_target"));
    case "SRV":
      return (await resolver.resolveSrv(name)).map((srv) => ({
        host: withoutDot(srv.name),
        port: srv.port,
        meta: toLabels([
          ["__meta_dns_srv_record_target", withDot(srv.name)],
          ["__meta_dns_srv_record_port", String(srv.port)],
        ]),
      }));
  }
}

function withoutDot(host: string): string {
  return host.replace(/\.+$/, "");
}

/** Node.js cuts the final dot off, Prometheus shows it in the meta labels. */
function withDot(host: string): string {
  return `${withoutDot(host)}.`;
}

function describeRecord(name: string, { host, port, meta }: DnsRecord): Labels {
  return toLabels([
    ["__address__", host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`],
    ["__meta_dns_name", name],
    ["__meta_dns_srv_record_target", ""],
    ["__meta_dns_srv_record_port", ""],
    ["__meta_dns_mx_record_target", ""],
    ["__meta_dns_ns_record_target", ""],
    ...Object.entries(meta),
  ]);
}
