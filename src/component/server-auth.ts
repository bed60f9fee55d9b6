/** Who may call a server, decided by an extension: `auth: { authenticator: <id> }`. */

import { ConfigError, toError } from "../model/errors.ts";
import type { Host } from "./define.ts";

/** Headers or metadata of a request: names in lower case. */
export type RequestHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** What an extension offers that knows who may call. */
export interface ServerAuthenticator {
  /**
   * Undefined lets the caller in; a text says why not, and never holds what was sent. Asked for every request, before its
   * body is read. What it throws refuses the caller as well.
   */
  authenticate(headers: RequestHeaders): string | undefined | Promise<string | undefined>;
  /** What the credentials of a caller that was let in say, for `auth.<name>`; undefined for a name they do not have. */
  callerAttribute?(headers: RequestHeaders, name: string): string | readonly string[] | undefined;
}

/** The `auth` key of a server. */
export interface ServerAuthConfig {
  readonly authenticator: string;
  readonly request_params?: readonly string[] | undefined;
}

/**
 * Finds the extension; belongs to the start of a server, when the extensions run. Undefined where no `auth` is configured.
 * Throws ConfigError where it does not run or is none for servers; `path` is that of the server's section.
 */
export function findServerAuthenticator(
  config: ServerAuthConfig | undefined,
  host: Pick<Host, "extension">,
  path: string,
): ServerAuthenticator | undefined {
  if (config === undefined) return undefined;
  const extension = host.extension(config.authenticator);
  if (isServerAuthenticator(extension)) return extension;
  const name = JSON.stringify(config.authenticator);
  const why =
    extension === undefined
      ? `no extension ${name} is active: service::extensions has to name it`
      : `${name} does not check the callers of servers`;
  throw new ConfigError([{ path: `${path}::auth::authenticator`, message: why }]);
}

/** Why the caller is refused, undefined where it is not; a promise only where the check takes its time. */
export function checkCaller(
  authenticator: ServerAuthenticator,
  headers: RequestHeaders,
): string | undefined | Promise<string | undefined> {
  try {
    const answer = authenticator.authenticate(headers);
    return answer instanceof Promise ? answer.catch((caught: unknown) => toError(caught).message) : answer;
  } catch (caught) {
    return toError(caught).message;
  }
}

/** Headers and those parameters of the URL that may stand for them. */
export function withRequestParams(
  headers: RequestHeaders,
  url: string | undefined,
  params: readonly string[] | undefined,
): RequestHeaders {
  const at = url?.indexOf("?") ?? -1;
  if (params === undefined || params.length === 0 || url === undefined || at < 0) return headers;
  const query = new URLSearchParams(url.slice(at + 1));
  const found = params
    .filter((name) => query.has(name))
    .map((name) => [name.toLowerCase(), query.getAll(name)] as const);
  return { ...headers, ...Object.fromEntries(found) };
}

function isServerAuthenticator(extension: unknown): extension is ServerAuthenticator {
  return (
    typeof extension === "object" &&
    extension !== null &&
    "authenticate" in extension &&
    typeof extension.authenticate === "function"
  );
}
