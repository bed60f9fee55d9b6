/** What an HTTP client can be told: the union of Prometheus' HTTPClientConfig and the Collector's confighttp client. */

/** Files are read again whenever they changed; texts are used as they are. Secrets never leave these fields. */
export interface TlsConfig {
  readonly ca?: string | undefined;
  readonly caFile?: string | undefined;
  readonly cert?: string | undefined;
  readonly certFile?: string | undefined;
  readonly key?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly serverName?: string | undefined;
  readonly insecureSkipVerify?: boolean | undefined;
  readonly minVersion?: TlsVersion | undefined;
  readonly maxVersion?: TlsVersion | undefined;
  /** Use the system's certificate authorities beside the given one (Collector: include_system_ca_certs_pool). */
  readonly includeSystemCa?: boolean | undefined;
  /** OpenSSL names of the allowed TLS 1.2 cipher suites (Collector: cipher_suites). */
  readonly cipherSuites?: readonly string[] | undefined;
}

export type TlsVersion = "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";

export interface BasicAuthConfig {
  readonly username?: string | undefined;
  readonly usernameFile?: string | undefined;
  readonly password?: string | undefined;
  readonly passwordFile?: string | undefined;
}

export interface AuthorizationConfig {
  /** The scheme, `Bearer` unless told otherwise. */
  readonly type: string;
  readonly credentials?: string | undefined;
  readonly credentialsFile?: string | undefined;
}

export interface ProxyConfig {
  readonly proxyUrl?: string | undefined;
  readonly noProxy?: string | undefined;
  readonly proxyFromEnvironment?: boolean | undefined;
  readonly proxyConnectHeader?: Readonly<Record<string, readonly string[]>> | undefined;
}

export interface OAuth2Config extends ProxyConfig {
  readonly clientId: string;
  readonly clientSecret?: string | undefined;
  readonly clientSecretFile?: string | undefined;
  readonly tokenUrl: string;
  readonly scopes?: readonly string[] | undefined;
  readonly endpointParams?: Readonly<Record<string, string>> | undefined;
  readonly tls?: TlsConfig | undefined;
  readonly grantType?: "client_credentials" | "urn:ietf:params:oauth:grant-type:jwt-bearer" | undefined;
  readonly clientCertificateKey?: string | undefined;
  readonly clientCertificateKeyFile?: string | undefined;
  readonly clientCertificateKeyId?: string | undefined;
  readonly signatureAlgorithm?: "RS256" | "RS384" | "RS512" | undefined;
  readonly iss?: string | undefined;
  readonly audience?: string | undefined;
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
}

export interface HeaderConfig {
  readonly name: string;
  readonly values: readonly string[];
  readonly secrets: readonly string[];
  readonly files: readonly string[];
}

export interface HttpClientConfig extends ProxyConfig {
  readonly basicAuth?: BasicAuthConfig | undefined;
  readonly authorization?: AuthorizationConfig | undefined;
  readonly oauth2?: OAuth2Config | undefined;
  readonly tls?: TlsConfig | undefined;
  readonly followRedirects?: boolean | undefined;
  readonly enableHttp2?: boolean | undefined;
  /** Headers added to every request; all values of a name are sent. */
  readonly httpHeaders?: readonly HeaderConfig[] | undefined;
  readonly maxIdleConnections?: number | undefined;
  readonly maxConnectionsPerHost?: number | undefined;
  readonly idleConnectionTimeoutMs?: number | undefined;
  readonly disableKeepAlives?: boolean | undefined;
}
