/** Access tokens of OAuth 2.0 for clients without a user: fetched once, kept until they expire, shared by all requests. */

import { collectBody } from "./collect-body.ts";
import type { OAuth2Config } from "./http-client-config.ts";
import { abortedError, HttpError } from "./http-error.ts";
import type { HttpRequest, HttpResponse } from "./http-messages.ts";
import { createAssertion } from "./jwt-assertion.ts";
import { redactUrl } from "./redact-url.ts";
import { type SecretReader, secretReader } from "./secret-file.ts";

/** Where tokens come from. */
export interface TokenSource {
  /** The value of an Authorization header; rejects with HttpError. At most one fetch is under way at any time. */
  authorization(signal: AbortSignal): Promise<string>;
  /** Forgets a token that was refused; one that was replaced meanwhile is left alone. */
  invalidate(authorization: string): void;
  /** Ends a fetch under way. */
  close(): void;
}

/** What the source needs from its surroundings. */
export interface TokenSourceOptions {
  /** Sends with the TLS and proxy settings of the oauth2 block. */
  readonly send: (request: HttpRequest) => Promise<HttpResponse>;
  /** Wall clock. */
  readonly nowMs: () => number;
}

interface Token {
  readonly authorization: string;
  readonly expiresMs: number;
}

const maxAnswerBytes = 1024 * 1024;
const fetchTimeoutMs = 30_000;
/** A token is not used in its last seconds, as in Go: it must still be valid when the request arrives. */
const expiryMarginMs = 10_000;

/** Fetches nothing before the first request needs a token. */
export function createTokenSource(config: OAuth2Config, options: TokenSourceOptions): TokenSource {
  return new SharedTokenSource(config, options);
}

class SharedTokenSource implements TokenSource {
  readonly #config: OAuth2Config;
  readonly #options: TokenSourceOptions;
  readonly #secret: SecretReader | undefined;
  readonly #privateKey: SecretReader | undefined;
  readonly #closed = new AbortController();
  #token: Token | undefined;
  /** The secret a token was fetched with: after a change of the file the token is fetched anew. */
  #tokenSecret: string | undefined;
  #fetching: Promise<Token> | undefined;
  /** Found out by trying, as in Go: servers differ in where they take the client's credentials. */
  #credentialsIn: "unknown" | "header" | "body" = "unknown";

  constructor(config: OAuth2Config, options: TokenSourceOptions) {
    this.#config = config;
    this.#options = options;
    this.#secret = secretReader(config.clientSecret, config.clientSecretFile, "oauth2.client_secret_file");
    this.#privateKey = secretReader(
      config.clientCertificateKey,
      config.clientCertificateKeyFile,
      "oauth2.client_certificate_key_file",
    );
  }

  async authorization(signal: AbortSignal): Promise<string> {
    const secret = (this.#isAssertion ? this.#privateKey?.() : this.#secret?.()) ?? "";
    const token = this.#token;
    if (token !== undefined && secret === this.#tokenSecret && this.#options.nowMs() < token.expiresMs) {
      return token.authorization;
    }
    this.#fetching ??= this.#fetch(secret).finally(() => {
      this.#fetching = undefined;
    });
    const fetched = await this.#raceAbort(this.#fetching, signal);
    return fetched.authorization;
  }

  invalidate(authorization: string): void {
    if (this.#token?.authorization === authorization) {
      this.#token = undefined;
    }
  }

  close(): void {
    this.#closed.abort();
  }

  get #isAssertion(): boolean {
    return this.#config.grantType === "urn:ietf:params:oauth:grant-type:jwt-bearer";
  }

  async #fetch(secret: string): Promise<Token> {
    const token = this.#isAssertion ? await this.#fetchByAssertion(secret) : await this.#fetchByCredentials(secret);
    this.#token = token;
    this.#tokenSecret = secret;
    return token;
  }

  #fetchByAssertion(privateKey: string): Promise<Token> {
    const form = new URLSearchParams();
    form.set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
    form.set("assertion", createAssertion(this.#config, privateKey, this.#options.nowMs()));
    this.#addEndpointParams(form);
    return this.#ask(form, {});
  }

  async #fetchByCredentials(secret: string): Promise<Token> {
    if (this.#credentialsIn !== "unknown") {
      return this.#askWithCredentials(secret, this.#credentialsIn);
    }
    try {
      const token = await this.#askWithCredentials(secret, "header");
      this.#credentialsIn = "header";
      return token;
    } catch (caught) {
      if (!(caught instanceof HttpError) || caught.code !== "TOKEN_REFUSED") {
        throw caught;
      }
    }
    const token = await this.#askWithCredentials(secret, "body");
    this.#credentialsIn = "body";
    return token;
  }

  #askWithCredentials(secret: string, place: "header" | "body"): Promise<Token> {
    const { clientId, scopes } = this.#config;
    const form = new URLSearchParams();
    form.set("grant_type", "client_credentials");
    if (scopes !== undefined && scopes.length > 0) {
      form.set("scope", scopes.join(" "));
    }
    this.#addEndpointParams(form);
    if (place === "body") {
      form.set("client_id", clientId);
      if (secret !== "") {
        form.set("client_secret", secret);
      }
      return this.#ask(form, {});
    }
    // RFC 6749 section 2.3.1: both parts are form-encoded before they become Basic credentials.
    const pair = `${formEncode(clientId)}:${formEncode(secret)}`;
    return this.#ask(form, { authorization: `Basic ${Buffer.from(pair).toString("base64")}` });
  }

  #addEndpointParams(form: URLSearchParams): void {
    for (const [name, value] of Object.entries(this.#config.endpointParams ?? {})) {
      form.set(name, value);
    }
  }

  async #ask(form: URLSearchParams, headers: Readonly<Record<string, string>>): Promise<Token> {
    const url = tokenUrl(this.#config.tokenUrl);
    const response = await this.#options.send({
      method: "POST",
      url,
      headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json", ...headers },
      body: Buffer.from(form.toString()),
      signal: AbortSignal.any([this.#closed.signal, AbortSignal.timeout(fetchTimeoutMs)]),
    });
    const body = await collectBody(response, { maxBytes: maxAnswerBytes });
    if (response.status < 200 || response.status > 299) {
      const reason = body === "too-large" ? "" : refusalReason(body);
      throw refused(url, `answered ${response.status}${reason}`);
    }
    if (body === "too-large") {
      throw refused(url, `answered more than ${maxAnswerBytes} bytes`);
    }
    return parseToken(url, body, this.#options.nowMs());
  }

  #raceAbort(fetching: Promise<Token>, signal: AbortSignal): Promise<Token> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        const url = tokenUrl(this.#config.tokenUrl);
        reject(abortedError(signal.reason, { method: "POST", url, phase: "waiting for the response" }));
      };
      if (signal.aborted) {
        onAbort();
      }
      signal.addEventListener("abort", onAbort, { once: true });
      fetching.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
    });
  }
}

function tokenUrl(text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw new HttpError("URL_INVALID", "oauth2.token_url: not a URL");
  }
}

/** The error code of RFC 6749 section 5.2, and nothing else of the answer: it could repeat the credentials. */
function refusalReason(body: Uint8Array): string {
  const error = parseObject(body)["error"];
  return typeof error === "string" && /^[a-z_]{1,64}$/.test(error) ? `: ${error}` : "";
}

function parseToken(url: URL, body: Uint8Array, nowMs: number): Token {
  const answer = parseObject(body);
  const accessToken = answer["access_token"];
  if (typeof accessToken !== "string" || accessToken === "") {
    throw refused(url, "answered without access_token");
  }
  const lifetimeMs = lifetimeOf(answer["expires_in"]);
  const expiresMs = lifetimeMs === undefined ? Number.POSITIVE_INFINITY : nowMs + lifetimeMs - expiryMarginMs;
  return { authorization: `${schemeOf(answer["token_type"])} ${accessToken}`, expiresMs };
}

/** JSON as RFC 6749 demands, or the form that some servers send. */
function parseObject(body: Uint8Array): Readonly<Record<string, unknown>> {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8");
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null ? { ...parsed } : {};
  } catch {
    return Object.fromEntries(new URLSearchParams(text));
  }
}

function lifetimeOf(expiresIn: unknown): number | undefined {
  const text = typeof expiresIn === "number" ? String(Math.floor(expiresIn)) : expiresIn;
  if (typeof text !== "string" || !/^\d{1,12}$/.test(text) || Number(text) === 0) {
    return undefined;
  }
  return Number(text) * 1000;
}

function schemeOf(tokenType: unknown): string {
  if (typeof tokenType !== "string" || !/^[A-Za-z][A-Za-z0-9-]*$/.test(tokenType)) {
    return "Bearer";
  }
  const lower = tokenType.toLowerCase();
  return lower === "bearer" ? "Bearer" : lower === "mac" ? "MAC" : lower === "basic" ? "Basic" : tokenType;
}

function formEncode(text: string): string {
  return new URLSearchParams({ "": text }).toString().slice(1);
}

function refused(url: URL, what: string): HttpError {
  return new HttpError("TOKEN_REFUSED", `oauth2: ${redactUrl(url)} ${what}`);
}
