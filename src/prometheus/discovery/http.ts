/** Targets that an HTTP endpoint lists. */

import { DecodeError } from "../../model/errors.ts";
import { parseJsonGroups } from "./parse-groups.ts";
import { type Provider, refreshRepeatedly, withTimeout } from "./provider.ts";
import type { HttpSdConfig } from "./sd-config.ts";
import { groupOfAddresses, type TargetGroup, toLabels } from "./target-group.ts";

/** An answer, its body decompressed. Header names are lower case. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Uint8Array;
}

/** One GET request. Must stop reading, and fail, when the body exceeds `maxBodyBytes` or the signal aborts. */
export type HttpGet = (
  url: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
  maxBodyBytes: number,
) => Promise<HttpAnswer>;

/** A client made for one configuration; `close` gives its connections back. */
export interface HttpGetClient {
  readonly get: HttpGet;
  close(): void | Promise<void>;
}

/** Largest body of an answer; 100,000 targets with ten labels each are about a third of it. */
export const maxHttpSdBodyBytes = 64 * 1024 * 1024;

const acceptedContentType = /^application\/json(;\s*charset=("utf-8"|utf-8))?$/i;

/**
 * Asks the endpoint once per interval. An answer that is late, not 200, not JSON or too large leaves the old targets, and
 * so does a client that cannot be made, which is tried again each time.
 */
export function createHttpProvider(config: HttpSdConfig, createClient: () => HttpGetClient): Provider {
  const { url, refreshIntervalMs } = config;
  const headers = {
    accept: "application/json",
    "x-prometheus-refresh-interval-seconds": String(refreshIntervalMs / 1000),
  };
  let client: HttpGetClient | undefined;
  let knownCount = 0;
  const refresh = async (signal: AbortSignal): Promise<TargetGroup[]> => {
    client ??= createClient();
    const { get } = client;
    const answer = await withTimeout(refreshIntervalMs, signal, (limited) =>
      get(url, headers, limited, maxHttpSdBodyBytes),
    );
    const groups = parseJsonGroups(checkAnswer(answer)).map(({ addresses, labels }, index) => {
      const withUrl = toLabels([...Object.entries(labels), ["__meta_url", url]]);
      return groupOfAddresses(`${url}:${index}`, addresses, withUrl);
    });
    const count = groups.length;
    for (let i = count; i < knownCount; i++) groups.push(groupOfAddresses(`${url}:${i}`, [], toLabels([])));
    knownCount = count;
    return groups;
  };
  return async (context) => {
    try {
      await refreshRepeatedly(context, { mechanism: "http", intervalMs: refreshIntervalMs, refresh });
    } finally {
      await client?.close();
    }
  };
}

function checkAnswer({ status, headers, body }: HttpAnswer): Uint8Array {
  if (status !== 200) throw new DecodeError("target groups", 0, `server returned HTTP status ${status}`);
  const header = headers["content-type"];
  const contentType = (typeof header === "string" ? header : (header?.[0] ?? "")).trim();
  if (!acceptedContentType.test(contentType)) {
    const shown = JSON.stringify(contentType.slice(0, 200));
    throw new DecodeError("target groups", 0, `unsupported content type ${shown}, expected application/json`);
  }
  if (body.length > maxHttpSdBodyBytes) {
    throw new DecodeError("target groups", maxHttpSdBodyBytes, `answer exceeds ${maxHttpSdBodyBytes} bytes`);
  }
  return body;
}
