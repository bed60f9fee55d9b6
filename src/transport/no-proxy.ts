/** Which hosts are reached without a proxy: the rules of NO_PROXY as Go's httpproxy package reads them. */

import { BlockList, isIP } from "node:net";

/** True when the host, in lower case and without brackets, is to be reached through the proxy. */
export type NeedsProxy = (host: string, port: number) => boolean;

type Rule = (host: string, port: number) => boolean;

/**
 * Reads a comma-separated list of `*`, addresses, CIDR ranges and domains, each but the range with an optional port.
 * `example.org` means it and its subdomains, `.example.org` and `*.example.org` only the subdomains.
 * `localhost` and loopback addresses never need a proxy.
 */
export function parseNoProxy(list: string): NeedsProxy {
  const rules: Rule[] = [];
  for (const part of list.split(",")) {
    const entry = part.trim().toLowerCase();
    if (entry === "*") {
      return () => false;
    }
    const rule = entry === "" ? undefined : parseRule(entry);
    if (rule !== undefined) {
      rules.push(rule);
    }
  }
  return (host, port) => !isLoopback(host) && !rules.some((matches) => matches(host, port));
}

function parseRule(entry: string): Rule | undefined {
  const slash = entry.indexOf("/");
  if (slash > 0) {
    const range = parseRange(entry.slice(0, slash), entry.slice(slash + 1));
    if (range !== undefined) {
      return (host) => contains(range, host);
    }
  }
  const { name, port } = splitPort(entry);
  const matchesPort = (actual: number): boolean => port === undefined || port === actual;
  if (isIP(name) !== 0) {
    const address = parseRange(name, isIP(name) === 6 ? "128" : "32");
    return (host, actual) => address !== undefined && contains(address, host) && matchesPort(actual);
  }
  const domain = name.startsWith("*.") ? name.slice(1) : name;
  if (domain === "" || domain === ".") {
    return undefined;
  }
  const bare = domain.startsWith(".") ? undefined : domain;
  const suffix = bare === undefined ? domain : `.${bare}`;
  return (host, actual) => (host === bare || host.endsWith(suffix)) && matchesPort(actual);
}

function splitPort(entry: string): { name: string; port: number | undefined } {
  const match = /^(?:\[(?<v6>[^\]]*)\]|(?<host>[^:]*))(?::(?<port>\d+))?$/.exec(entry);
  if (match?.groups === undefined) {
    return { name: entry, port: undefined };
  }
  const { v6, host, port } = match.groups;
  return { name: v6 ?? host ?? "", port: port === undefined ? undefined : Number(port) };
}

function parseRange(address: string, prefix: string): BlockList | undefined {
  const version = isIP(address);
  if (version === 0 || !/^\d{1,3}$/.test(prefix) || Number(prefix) > (version === 6 ? 128 : 32)) {
    return undefined;
  }
  const range = new BlockList();
  range.addSubnet(address, Number(prefix), version === 6 ? "ipv6" : "ipv4");
  return range;
}

function contains(range: BlockList, host: string): boolean {
  const version = isIP(host);
  return version !== 0 && range.check(host, version === 6 ? "ipv6" : "ipv4");
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

function isLoopback(host: string): boolean {
  return host === "localhost" || contains(loopback, host);
}
