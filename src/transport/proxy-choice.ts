/** Decides for each URL whether a proxy is used and which one. */

import type { ProxyConfig } from "./http-client-config.ts";
import { HttpError } from "./http-error.ts";
import { type NeedsProxy, parseNoProxy } from "./no-proxy.ts";

/** The environment of the process, given by whoever may read it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A proxy without its credentials in the URL. */
export interface HttpProxy {
  readonly url: URL;
  /** Value of Proxy-Authorization, a secret. */
  readonly authorization: string | undefined;
}

/** Returns the proxy for a URL, undefined for a direct connection. */
export type ProxyChoice = (url: URL) => HttpProxy | undefined;

/** Reads the rules once. A proxy URL that cannot be used is an HttpError PROXY_INVALID of every request that needs it. */
export function createProxyChoice(config: ProxyConfig, env: Environment): ProxyChoice {
  if (config.proxyFromEnvironment === true) {
    return environmentChoice(env);
  }
  if (config.proxyUrl === undefined || config.proxyUrl === "") {
    return () => undefined;
  }
  const proxy = parseProxy(config.proxyUrl, "proxy_url");
  if (config.noProxy === undefined || config.noProxy === "") {
    return () => usable(proxy);
  }
  const needsProxy = parseNoProxy(config.noProxy);
  return (url) => (asks(needsProxy, url) ? usable(proxy) : undefined);
}

function environmentChoice(env: Environment): ProxyChoice {
  const pick = (name: string): string => env[name] || env[name.toLowerCase()] || "";
  const needsProxy = parseNoProxy(pick("NO_PROXY"));
  const http = pick("HTTP_PROXY");
  const https = pick("HTTPS_PROXY");
  const forHttp = http === "" ? undefined : parseProxy(withScheme(http), "HTTP_PROXY");
  const forHttps = https === "" ? undefined : parseProxy(withScheme(https), "HTTPS_PROXY");
  return (url) => {
    const proxy = url.protocol === "https:" ? forHttps : forHttp;
    return proxy !== undefined && asks(needsProxy, url) ? usable(proxy) : undefined;
  };
}

function withScheme(text: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
}

function usable(proxy: HttpProxy | HttpError): HttpProxy {
  if (proxy instanceof HttpError) {
    throw proxy;
  }
  return proxy;
}

function parseProxy(text: string, key: string): HttpProxy | HttpError {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return new HttpError("PROXY_INVALID", `${key}: not a URL`);
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    const scheme = url.protocol.slice(0, -1);
    return new HttpError("PROXY_INVALID", `${key}: expected a proxy with scheme http or https, got ${scheme}`);
  }
  const authorization = basicAuthorization(url);
  return { url: new URL(url.origin), authorization };
}

/** The Basic credentials of a URL's user part, undefined without one. */
export function basicAuthorization(url: URL): string | undefined {
  if (url.username === "" && url.password === "") {
    return undefined;
  }
  const pair = `${decodePart(url.username)}:${decodePart(url.password)}`;
  return `Basic ${Buffer.from(pair, "utf8").toString("base64")}`;
}

function decodePart(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function asks(needsProxy: NeedsProxy, url: URL): boolean {
  const host = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
  return needsProxy(host.toLowerCase(), portOf(url));
}

/** The port of a URL, that of its scheme when none is given. */
export function portOf(url: URL): number {
  return url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
}
