/** Decodes `static_configs` and every `*_sd_configs` of a job. */

import type { ConfigNode } from "../../codec/yaml/config-node.ts";
import { type DnsRecordType, isFileSdPattern, type SdConfig } from "../discovery/sd-config.ts";
import { groupOfAddresses, type TargetGroup, toLabels } from "../discovery/target-group.ts";
import { type ConfigPath, type DecodeContext, fail, noticeOnce } from "./decode-context.ts";
import { checkUrl } from "./go-url.ts";
import { checkExclusive, decodeHttpClient, HTTP_CLIENT_KEYS } from "./http-client.ts";
import { isConfigLabelName, isValidText } from "./label-names.ts";
import { describeNode, isNull, SectionReader } from "./section-reader.ts";

/** Mechanisms of Prometheus that are not built yet. */
const LATER_MECHANISMS = [
  "aws",
  "azure",
  "consul",
  "digitalocean",
  "docker",
  "dockerswarm",
  "ec2",
  "ecs",
  "elasticache",
  "eureka",
  "gce",
  "hetzner",
  "ionos",
  "kubernetes",
  "kuma",
  "lightsail",
  "linode",
  "marathon",
  "msk",
  "nerve",
  "nomad",
  "oci",
  "openstack",
  "outscale",
  "ovhcloud",
  "puppetdb",
  "rds",
  "scaleway",
  "serverset",
  "stackit",
  "triton",
  "uyuni",
  "vultr",
] as const;

const LATER_KEYS = LATER_MECHANISMS.map((name) => `${name}_sd_configs`);

/** Every discovery key that a job may hold. */
export const SD_KEYS: readonly string[] = [
  "static_configs",
  "file_sd_configs",
  "http_sd_configs",
  "dns_sd_configs",
  ...LATER_KEYS,
];

const DNS_TYPES: readonly DnsRecordType[] = ["SRV", "A", "AAAA", "MX", "NS"];

type SdDecoder = (section: SectionReader) => SdConfig;

/** The discovery of a job, in the order of the keys above; wrong entries are reported. */
export function decodeSdConfigs(job: SectionReader, options: { hasRelabelRules: boolean }): SdConfig[] {
  const groups = decodeStatic(job, options.hasRelabelRules);
  const configs: SdConfig[] = groups.length === 0 ? [] : [{ kind: "static", groups }];
  configs.push(...decodeEach(job, "file_sd_configs", ["files", "refresh_interval"], decodeFileSd));
  configs.push(...decodeEach(job, "http_sd_configs", ["url", "refresh_interval", ...HTTP_CLIENT_KEYS], decodeHttpSd));
  configs.push(...decodeEach(job, "dns_sd_configs", ["names", "type", "port", "refresh_interval"], decodeDnsSd));
  for (const key of LATER_KEYS) if (decodeLater(job, key)) configs.push({ kind: "later", key });
  return configs;
}

/** The entries of a list of which none may be nothing. */
function presentItems(job: SectionReader, key: string): { readonly node: ConfigNode; readonly path: ConfigPath }[] {
  return job.items(key).filter(({ node, path }) => {
    if (isNull(node)) fail(job.context, path, `expected an entry of ${key}, found nothing`, node.at);
    return !isNull(node);
  });
}

function decodeEach(job: SectionReader, key: string, keys: readonly string[], decode: SdDecoder): SdConfig[] {
  return presentItems(job, key).map(({ node, path }) => decode(new SectionReader(job.context, node, path, keys)));
}

function decodeStatic(job: SectionReader, hasRelabelRules: boolean): TargetGroup[] {
  return presentItems(job, "static_configs").map(({ node, path }, index) => {
    const group = new SectionReader(job.context, node, path, ["targets", "labels"]);
    const targets = group.strings("targets");
    // With relabel rules an address may still become a valid one, so Prometheus looks later.
    if (!hasRelabelRules) checkAddresses(group, targets);
    return groupOfAddresses(String(index), targets, toLabels(decodeLabels(group)));
  });
}

function checkAddresses(group: SectionReader, targets: readonly string[]): void {
  const items = group.items("targets");
  for (const [index, target] of targets.entries()) {
    if (!target.includes("/")) continue;
    const node = items[index]?.node;
    const path = [...group.pathOf("targets"), index];
    const found = node === undefined ? "" : `, found ${describeNode(node, path)}`;
    const hint = "; http or https belongs in scheme, a path in metrics_path";
    fail(group.context, path, `expected host or host:port${found}${hint}`, node?.at);
  }
}

function decodeLabels(group: SectionReader): [name: string, value: string][] {
  const labels = group.stringMap("labels");
  const entries = group.entries("labels");
  for (const [index, [name, value]] of labels.entries()) {
    const path = [...group.pathOf("labels"), name];
    const entry = entries[index];
    if (!isConfigLabelName(name, "utf8")) fail(group.context, path, "expected a label name", entry?.keyAt);
    if (!isValidText(value)) fail(group.context, path, "expected a label value in UTF-8", entry?.value.at);
  }
  return labels;
}

function decodeFileSd(section: SectionReader): SdConfig {
  const files = section.strings("files");
  const items = section.items("files");
  if (files.length === 0) section.fail("files", "expected at least one file");
  for (const [index, file] of files.entries()) {
    if (isFileSdPattern(file)) continue;
    const message = "expected a .json, .yml or .yaml file with at most one *, in its last segment";
    fail(section.context, [...section.pathOf("files"), index], message, items[index]?.node.at);
  }
  return {
    kind: "file",
    files: files.map(section.context.resolvePath),
    refreshIntervalMs: section.durationMs("refresh_interval", 5 * 60_000),
  };
}

function decodeHttpSd(section: SectionReader): SdConfig {
  const url = section.secret("url");
  if (url === "") section.fail("url", "url is missing");
  else checkHttpUrl(section, url);
  return {
    kind: "http",
    url,
    refreshIntervalMs: section.durationMs("refresh_interval", 60_000),
    http: decodeHttpClient(section, { enableHttp2: true }),
  };
}

function checkHttpUrl(section: SectionReader, text: string): void {
  const url = checkUrl(text);
  if (typeof url === "string") section.fail("url", `expected a URL, found ${url}`);
  else if (url.scheme !== "http" && url.scheme !== "https") section.fail("url", "expected a URL with http or https");
  else if (url.host === "") section.fail("url", "expected a URL with a host");
}

function decodeDnsSd(section: SectionReader): SdConfig {
  const names = section.strings("names");
  if (names.length === 0) section.fail("names", "expected at least one name");
  const text = section.string("type", "SRV").toUpperCase();
  const type = DNS_TYPES.find((known) => known === text);
  const port = section.integer("port");
  if (type === undefined) section.failWord("type", DNS_TYPES);
  else if (type !== "SRV" && port === 0) section.fail("port", `the record type ${type} needs a port`);
  return {
    kind: "dns",
    names,
    type: type ?? "SRV",
    port,
    refreshIntervalMs: section.durationMs("refresh_interval", 30_000),
  };
}

function decodeLater(job: SectionReader, key: string): boolean {
  const items = presentItems(job, key);
  for (const { node, path } of items) checkAnyMap(job.context, node, path);
  if (items.length === 0) return false;
  const message = "this discovery is not built yet: the key is accepted and yields no targets";
  noticeOnce(job.context, key, job.pathOf(key), message, job.keyAt(key));
  return true;
}

/** Of a block that is not built only what every mechanism has in common is checked. */
function checkAnyMap(context: DecodeContext, node: ConfigNode, path: ConfigPath): void {
  const keys = node.kind === "map" ? node.entries.map((entry) => entry.key) : [];
  checkExclusive(new SectionReader(context, node, path, keys));
}
