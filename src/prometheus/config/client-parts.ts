/** Decodes what several blocks of client keys have in common: TLS, proxies, secrets that exclude each other, files. */

import type { ProxyConfig, TlsConfig, TlsVersion } from "../../transport/http-client-config.ts";
import { checkUrl } from "./go-url.ts";
import { SectionReader } from "./section-reader.ts";

export const PROXY_KEYS = ["proxy_url", "no_proxy", "proxy_from_environment", "proxy_connect_header"] as const;

const TLS_KEYS = [
  "ca",
  "ca_file",
  "ca_ref",
  "cert",
  "cert_file",
  "cert_ref",
  "key",
  "key_file",
  "key_ref",
  "server_name",
  "insecure_skip_verify",
  "min_version",
  "max_version",
];
const TLS_VERSIONS: ReadonlyMap<string, TlsVersion> = new Map([
  ["TLS10", "TLSv1"],
  ["TLS11", "TLSv1.1"],
  ["TLS12", "TLSv1.2"],
  ["TLS13", "TLSv1.3"],
]);
/** Reads `tls_config`; undefined where it says nothing. */
export function decodeTls(section: SectionReader): TlsConfig | undefined {
  if (!section.hasValue("tls_config")) return undefined;
  const tls = section.section("tls_config", TLS_KEYS);
  atMostOne(tls, ["ca", "ca_file", "ca_ref"]);
  const cert = atMostOne(tls, ["cert", "cert_file", "cert_ref"]);
  const key = atMostOne(tls, ["key", "key_file", "key_ref"]);
  if (cert !== undefined && key === undefined) tls.fail(cert, "a client certificate needs key or key_file too");
  if (key !== undefined && cert === undefined) tls.fail(key, "a client key needs cert or cert_file too");
  return {
    ca: given(tls.secret("ca")),
    caFile: filePath(tls, "ca_file"),
    cert: given(tls.secret("cert")),
    certFile: existingFile(tls, "cert_file"),
    key: given(tls.secret("key")),
    keyFile: existingFile(tls, "key_file"),
    serverName: given(tls.string("server_name")),
    insecureSkipVerify: tls.boolean("insecure_skip_verify", false),
    minVersion: decodeTlsVersion(tls, "min_version"),
    maxVersion: decodeTlsVersion(tls, "max_version"),
  };
}

function decodeTlsVersion(tls: SectionReader, key: string): TlsVersion | undefined {
  if (!tls.hasValue(key)) return undefined;
  const version = TLS_VERSIONS.get(tls.string(key));
  if (version === undefined) tls.failWord(key, TLS_VERSIONS.keys());
  return version;
}

/** Reads the proxy keys of a section. */
export function decodeProxy(section: SectionReader): ProxyConfig {
  const proxyUrl = given(section.secret("proxy_url"));
  const noProxy = given(section.string("no_proxy"));
  const proxyFromEnvironment = section.boolean("proxy_from_environment", false);
  if (proxyUrl !== undefined) checkUrlKey(section, "proxy_url", proxyUrl);
  if (proxyFromEnvironment && proxyUrl !== undefined) {
    section.fail("proxy_url", "proxy_from_environment excludes proxy_url");
  }
  if (proxyFromEnvironment && noProxy !== undefined)
    section.fail("no_proxy", "proxy_from_environment excludes no_proxy");
  if (noProxy !== undefined && proxyUrl === undefined && !proxyFromEnvironment) {
    section.fail("no_proxy", "no_proxy needs proxy_url");
  }
  const proxyConnectHeader = decodeConnectHeader(section);
  if (proxyConnectHeader !== undefined && proxyUrl === undefined && !proxyFromEnvironment) {
    section.fail("proxy_connect_header", "proxy_connect_header needs proxy_url or proxy_from_environment");
  }
  return { proxyUrl, noProxy, proxyFromEnvironment, proxyConnectHeader };
}

function decodeConnectHeader(section: SectionReader): Readonly<Record<string, readonly string[]>> | undefined {
  const entries = section.entries("proxy_connect_header");
  if (entries.length === 0) return undefined;
  const node = section.node("proxy_connect_header");
  const names = entries.map((entry) => entry.key);
  const values = new SectionReader(section.context, node, section.pathOf("proxy_connect_header"), names);
  return Object.fromEntries(names.map((name) => [name, values.strings(name, { secret: true })]));
}

/** Reports a URL that Go would not parse; the text itself, which may hold a password, is not shown. */
export function checkUrlKey(section: SectionReader, key: string, text: string): void {
  const url = checkUrl(text);
  if (typeof url === "string") section.fail(key, `expected a URL, found ${url}`);
}

/** Of keys that exclude each other the one that is set; a `_ref` needs a secret manager and is always a fault. */
export function atMostOne(section: SectionReader, keys: readonly string[]): string | undefined {
  const set = keys.filter((key) => section.secret(key) !== "");
  for (const key of set) {
    if (key.endsWith("_ref"))
      section.fail(key, "needs a secret manager, which there is none of: use the file or the value");
  }
  if (set.length > 1) section.fail(set[1] ?? "", `only one of ${keys.slice(0, 2).join(" and ")} may be set`);
  return set[0];
}

/** The text, or undefined for an empty one. */
export function given(text: string): string | undefined {
  return text === "" ? undefined : text;
}

/** A file path, resolved; undefined where it is empty. */
export function filePath(section: SectionReader, key: string): string | undefined {
  const path = given(section.string(key));
  return path === undefined ? undefined : section.context.resolvePath(path);
}

/** As `filePath`; the Collector's receiver refuses to start without these files. */
export function existingFile(section: SectionReader, key: string): string | undefined {
  const path = filePath(section, key);
  const { mode, fileExists } = section.context;
  if (path !== undefined && mode === "receiver" && !fileExists(path)) {
    section.fail(key, `the file ${JSON.stringify(path)} does not exist`);
  }
  return path;
}
