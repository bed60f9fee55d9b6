/** Where a redirect leads and what may be sent there: the rules of Go's client, stricter about credentials. */

import { HttpError } from "./http-error.ts";
import { redactUrl } from "./redact-url.ts";

/** One step on the way to a response. */
export interface Hop {
  readonly method: "GET" | "POST";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
  /** Credentials and configured headers may be sent; once lost on the way they do not come back. */
  readonly trusted: boolean;
  /** The method and the body stay on 301 and 302 too. */
  readonly keepMethod: boolean;
}

/** Go's limit. */
export const maxRedirects = 10;

const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Headers of the caller that say nothing about who asks, so another host may see them. */
const publicHeaders: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "accept-language",
  "content-type",
  "content-encoding",
  "user-agent",
  "x-prometheus-scrape-timeout-seconds",
  "x-prometheus-refresh-interval-seconds",
  "x-prometheus-remote-write-version",
]);

const bodyHeaders: ReadonlySet<string> = new Set(["content-type", "content-encoding", "content-length"]);

/** Whether an answer leads elsewhere. */
export function isRedirect(status: number, location: string | undefined): boolean {
  return redirectStatuses.has(status) && location !== undefined && location !== "";
}

/**
 * The next step for a response, undefined when the response is the answer. Throws HttpError REDIRECT_INVALID for a
 * location that is no http or https URL.
 */
export function nextHop(hop: Hop, status: number, location: string | string[] | undefined): Hop | undefined {
  if (!redirectStatuses.has(status) || typeof location !== "string" || location === "") {
    return undefined;
  }
  if (hop.keepMethod && status === 303) return undefined;
  const url = resolveLocation(hop, location);
  const keepsBody = status === 307 || status === 308 || hop.keepMethod;
  const trusted = hop.trusted && url.hostname === hop.url.hostname && !(isSecure(hop.url) && !isSecure(url));
  const kept = Object.entries(hop.headers).filter(([name]) => {
    const lower = name.toLowerCase();
    return (trusted || publicHeaders.has(lower)) && (keepsBody || !bodyHeaders.has(lower));
  });
  return {
    method: keepsBody ? hop.method : "GET",
    url,
    headers: Object.fromEntries(kept),
    body: keepsBody ? hop.body : undefined,
    trusted,
    keepMethod: hop.keepMethod,
  };
}

function resolveLocation(hop: Hop, location: string): URL {
  let url: URL;
  try {
    url = new URL(location, hop.url);
  } catch {
    throw new HttpError(
      "REDIRECT_INVALID",
      `${hop.method} ${redactUrl(hop.url)}: redirected to something that is no URL`,
    );
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    const message = `${hop.method} ${redactUrl(hop.url)}: redirected to the unsupported scheme ${url.protocol.slice(0, -1)}`;
    throw new HttpError("REDIRECT_INVALID", message);
  }
  return url;
}

function isSecure(url: URL): boolean {
  return url.protocol === "https:";
}
