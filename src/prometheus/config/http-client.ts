/** Decodes the HTTP client keys that jobs, discovery over HTTP and remote write share. */

import type {
  AuthorizationConfig,
  BasicAuthConfig,
  HeaderConfig,
  HttpClientConfig,
} from "../../transport/http-client-config.ts";
import { atMostOne, decodeProxy, decodeTls, existingFile, filePath, given, PROXY_KEYS } from "./client-parts.ts";
import { fail, noticeOnce } from "./decode-context.ts";
import { decodeOAuth2 } from "./oauth2.ts";
import { SectionReader } from "./section-reader.ts";

/** Every key that `decodeHttpClient` reads. */
export const HTTP_CLIENT_KEYS = [
  "basic_auth",
  "authorization",
  "oauth2",
  "bearer_token",
  "bearer_token_file",
  "tls_config",
  "follow_redirects",
  "enable_http2",
  ...PROXY_KEYS,
  "http_headers",
] as const;

const BASIC_AUTH_KEYS = ["username", "username_file", "username_ref", "password", "password_file", "password_ref"];
const AUTHORIZATION_KEYS = ["type", "credentials", "credentials_file", "credentials_ref"];
const HEADER_KEYS = ["values", "secrets", "files"];

/** Lower case names that Prometheus sets itself. */
export const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  "host",
  "content-encoding",
  "content-length",
  "content-type",
  "user-agent",
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "www-authenticate",
  "accept-encoding",
  "x-prometheus-remote-write-version",
  "x-prometheus-remote-read-version",
  "x-amz-date",
  "x-amz-security-token",
  "x-amz-content-sha256",
]);
const RESERVED_HTTP_HEADERS: ReadonlySet<string> = new Set([
  ...RESERVED_HEADERS,
  "authorization",
  "x-prometheus-scrape-timeout-seconds",
]);

/** Reads the client keys that stand among the other keys of a section. */
export function decodeHttpClient(section: SectionReader, defaults: { enableHttp2: boolean }): HttpClientConfig {
  checkExclusive(section);
  const basicAuth = section.hasValue("basic_auth") ? decodeBasicAuth(section) : undefined;
  if (section.hasValue("enable_http2") && section.boolean("enable_http2", false)) {
    const place = section.keyAt("enable_http2");
    noticeOnce(
      section.context,
      "enable_http2",
      section.pathOf("enable_http2"),
      "accepted, but HTTP/1.1 is used",
      place,
    );
  }
  const oauth2 = section.hasValue("oauth2") ? decodeOAuth2(section) : undefined;
  return {
    basicAuth,
    authorization: decodeAuthorization(section),
    oauth2,
    tls: decodeTls(section),
    followRedirects: section.boolean("follow_redirects", true),
    enableHttp2: section.boolean("enable_http2", defaults.enableHttp2),
    httpHeaders: decodeHttpHeaders(section),
    ...decodeProxy(section),
  };
}

/** Reports authentication keys that exclude each other. */
export function checkExclusive(section: SectionReader): void {
  const tokens = ["bearer_token", "bearer_token_file"].filter((key) => section.secret(key) !== "");
  if (tokens.length > 1) section.fail("bearer_token_file", "bearer_token and bearer_token_file exclude each other");
  const schemes = ["basic_auth", "authorization", "oauth2"].filter((key) => section.hasValue(key));
  const given = [...schemes, ...tokens.slice(0, 1)];
  if (given.length > 1) section.fail(given[1] ?? "", `only one of ${given.join(", ")} may be set`);
}

function decodeBasicAuth(section: SectionReader): BasicAuthConfig {
  const basic = section.section("basic_auth", BASIC_AUTH_KEYS);
  atMostOne(basic, ["username", "username_file", "username_ref"]);
  atMostOne(basic, ["password", "password_file", "password_ref"]);
  return {
    username: given(basic.string("username")),
    usernameFile: filePath(basic, "username_file"),
    password: given(basic.secret("password")),
    passwordFile: filePath(basic, "password_file"),
  };
}

function decodeAuthorization(section: SectionReader): AuthorizationConfig | undefined {
  if (!section.hasValue("authorization")) {
    const credentials = given(section.secret("bearer_token").trim());
    const credentialsFile = filePath(section, "bearer_token_file");
    if (credentials === undefined && credentialsFile === undefined) return undefined;
    return { type: "Bearer", credentials, credentialsFile };
  }
  const authorization = section.section("authorization", AUTHORIZATION_KEYS);
  atMostOne(authorization, ["credentials", "credentials_file", "credentials_ref"]);
  const type = given(authorization.string("type").trim()) ?? "Bearer";
  if (type.toLowerCase() === "basic") authorization.fail("type", "a user name and password belong in basic_auth");
  return {
    type,
    credentials: given(authorization.secret("credentials")),
    credentialsFile: existingFile(authorization, "credentials_file"),
  };
}

function decodeHttpHeaders(section: SectionReader): HeaderConfig[] | undefined {
  const headers = section.entries("http_headers").map((entry) => {
    const path = [...section.pathOf("http_headers"), entry.key];
    const header = new SectionReader(section.context, entry.value, path, HEADER_KEYS);
    if (RESERVED_HTTP_HEADERS.has(entry.key.toLowerCase())) {
      fail(section.context, path, "this header is reserved and cannot be set", entry.keyAt);
    }
    return {
      name: entry.key,
      values: header.strings("values"),
      secrets: header.strings("secrets", { secret: true }),
      files: header.strings("files").map(section.context.resolvePath),
    };
  });
  return headers.length === 0 ? undefined : headers;
}
