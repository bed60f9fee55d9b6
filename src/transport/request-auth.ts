/** The Authorization header of a request, from the texts and files of the configuration. */

import type { AuthorizationConfig, BasicAuthConfig, HeaderConfig, HttpClientConfig } from "./http-client-config.ts";
import { type SecretReader, secretReader } from "./secret-file.ts";

/** Returns the header's value as the files are now, undefined without credentials; throws HttpError FILE_UNREADABLE. */
export type Authorizer = () => string | undefined;

/** For basic_auth and authorization; OAuth 2.0 has its own source. */
export function createAuthorizer(config: HttpClientConfig): Authorizer {
  if (config.basicAuth !== undefined) {
    return basicAuthorizer(config.basicAuth);
  }
  if (config.authorization !== undefined) {
    return schemeAuthorizer(config.authorization);
  }
  return () => undefined;
}

function basicAuthorizer(config: BasicAuthConfig): Authorizer {
  const username = secretReader(config.username, config.usernameFile, "basic_auth.username_file");
  const password = secretReader(config.password, config.passwordFile, "basic_auth.password_file");
  let lastPair = "";
  let lastValue = "";
  return () => {
    const pair = `${username?.() ?? ""}:${password?.() ?? ""}`;
    if (pair !== lastPair) {
      lastPair = pair;
      lastValue = `Basic ${Buffer.from(pair, "utf8").toString("base64")}`;
    }
    return lastValue;
  };
}

function schemeAuthorizer(config: AuthorizationConfig): Authorizer {
  const credentials = secretReader(config.credentials, config.credentialsFile, "authorization.credentials_file");
  const scheme = config.type === "" ? "Bearer" : config.type;
  return () => (credentials === undefined ? undefined : `${scheme} ${credentials()}`);
}

/** Adds the configured http_headers to a list of names and values in turn. */
export type HeaderAdder = (headers: string[]) => void;

/** Values first, then secrets, then files, each as a header of its own. */
export function createHeaderAdder(configured: readonly HeaderConfig[]): HeaderAdder {
  const readers: { readonly name: string; readonly read: SecretReader }[] = [];
  for (const { name, values, secrets, files } of configured) {
    for (const text of [...values, ...secrets]) {
      readers.push({ name, read: () => text });
    }
    for (const [index, file] of files.entries()) {
      const read = secretReader(undefined, file, `http_headers.${name}.files[${index}]`);
      if (read !== undefined) {
        readers.push({ name, read });
      }
    }
  }
  return (headers) => {
    for (const { name, read } of readers) {
      headers.push(name, read());
    }
  };
}
