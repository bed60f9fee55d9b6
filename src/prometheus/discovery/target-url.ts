/** The URL of a scrape, written as Go's `net/url` writes it: identity and peers compare the text. */

import { compareUtf8 } from "../relabel/compare-utf8.ts";

/** The URL of a target as a whole and in parts. */
export interface TargetUrl {
  /** The whole text, e.g. `http://host:9100/metrics?collect=cpu`. */
  readonly href: string;
  readonly scheme: string;
  /** The address as given: host with or without port. Nothing is added, also no default port. */
  readonly address: string;
  /** Percent-encoded, with its leading slash unless empty. */
  readonly path: string;
  /** Percent-encoded, sorted by key, without the question mark; empty when there are no parameters. */
  readonly query: string;
}

const pathSafe = /[A-Za-z0-9\-_.~$&+,/:;=@]/;
const hostSafe = /[A-Za-z0-9\-_.~!$&'()*+,;=:[\]<>"]/;
const querySafe = /[A-Za-z0-9\-_.~]/;

/** Builds the URL of a scrape. Never fails: whether it can be requested is seen when it is. */
export function buildTargetUrl(
  scheme: string,
  address: string,
  metricsPath: string,
  params: ReadonlyMap<string, readonly string[]>,
): TargetUrl {
  const escapedPath = metricsPath === "*" ? "*" : escapeBytes(metricsPath, pathSafe);
  const path = escapedPath !== "" && !escapedPath.startsWith("/") && address !== "" ? `/${escapedPath}` : escapedPath;
  const query = encodeQuery(params);
  const origin = `${scheme === "" ? "" : `${scheme}:`}//${escapeBytes(address, hostSafe)}`;
  return { href: origin + path + (query === "" ? "" : `?${query}`), scheme, address, path, query };
}

function encodeQuery(params: ReadonlyMap<string, readonly string[]>): string {
  const pairs: string[] = [];
  for (const name of [...params.keys()].sort(compareUtf8)) {
    for (const value of params.get(name) ?? []) pairs.push(`${escapeQuery(name)}=${escapeQuery(value)}`);
  }
  return pairs.join("&");
}

function escapeQuery(text: string): string {
  return escapeBytes(text, querySafe).replaceAll("%20", "+");
}

/** Percent-encodes every byte of the UTF-8 form that is not safe. */
function escapeBytes(text: string, safe: RegExp): string {
  let escaped = "";
  for (const char of text) {
    if (safe.test(char)) {
      escaped += char;
      continue;
    }
    for (const byte of Buffer.from(char)) escaped += `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return escaped;
}
