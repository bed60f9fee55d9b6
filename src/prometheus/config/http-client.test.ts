import { describe, expect, it } from "vitest";
import { testDecode, testJob } from "./test-decode.ts";

const inJob = (keys: string): string => `scrape_configs: [{job_name: a, ${keys}}]`;
const JWT = '"urn:ietf:params:oauth:grant-type:jwt-bearer"';

describe("HTTP client keys", () => {
  it("have the defaults of a scrape", () => {
    expect(testJob("").http).toEqual({ followRedirects: true, enableHttp2: true, proxyFromEnvironment: false });
  });

  it("decode every block", () => {
    const { http } = testJob(
      [
        "oauth2: {client_id: 1, client_secret: s, token_url: http://t, scopes: [a], endpoint_params: {b: 2}}",
        "tls_config: {ca_file: ca.pem, cert: c, key: k, server_name: n, insecure_skip_verify: true, min_version: TLS12}",
        "http_headers: {X-A: {values: [v], secrets: [s], files: [f]}}",
        "proxy_url: http://p, no_proxy: h, proxy_connect_header: {X-P: [q]}, follow_redirects: false",
      ].join(", "),
      { baseDir: "/etc/prom" },
    );
    expect(http).toMatchObject({
      oauth2: { clientId: "1", clientSecret: "s", tokenUrl: "http://t", scopes: ["a"], endpointParams: { b: "2" } },
      tls: {
        caFile: "/etc/prom/ca.pem",
        cert: "c",
        key: "k",
        serverName: "n",
        insecureSkipVerify: true,
        minVersion: "TLSv1.2",
      },
      httpHeaders: [{ name: "X-A", values: ["v"], secrets: ["s"], files: ["/etc/prom/f"] }],
      proxyUrl: "http://p",
      noProxy: "h",
      proxyConnectHeader: { "X-P": ["q"] },
      followRedirects: false,
    });
  });

  it.each([
    ["bearer_token: abc", { type: "Bearer", credentials: "abc" }],
    ["bearer_token_file: f", { type: "Bearer", credentialsFile: "f" }],
    ["authorization: {}", { type: "Bearer" }],
    ['authorization: {type: "", credentials: a}', { type: "Bearer", credentials: "a" }],
    ["authorization: {type: Token, credentials: 010}", { type: "Token", credentials: "010" }],
  ])("%s becomes authorization", (keys, expected) => {
    expect(testJob(keys).http.authorization).toEqual(expected);
  });

  it.each([
    "basic_auth: {}",
    "basic_auth: ",
    "tls_config: ",
    "http_headers: {X-A: }",
    "http_headers: {Accept: {values: [a]}}",
    'bearer_token: "", basic_auth: {username: b}',
    "tls_config: {min_version: TLS13, max_version: TLS12}",
    'proxy_url: ""',
    "proxy_connect_header: {a: [b]}, proxy_from_environment: true",
    `oauth2: {client_id: a, token_url: b, grant_type: ${JWT}}`,
    `oauth2: {client_id: a, token_url: b, grant_type: ${JWT}, client_secret: s, claims: {a: {b: [c]}}}`,
    "oauth2: {client_id: a, token_url: b, grant_type: foo}",
  ])("accept %s", (keys) => {
    expect(testDecode(inJob(keys)).issues).toEqual([]);
  });

  it.each([
    ["bearer_token: a, bearer_token_file: b", "exclude each other"],
    ["bearer_token: a, basic_auth: {username: b}", "only one of basic_auth, bearer_token"],
    ["bearer_token: a, authorization: {}", "only one of authorization, bearer_token"],
    ["basic_auth: {}, authorization: {}", "only one of basic_auth, authorization"],
    ["oauth2: {client_id: a, token_url: b}, authorization: {}", "only one of authorization, oauth2"],
    ["basic_auth: {username: a, username_file: b}", "only one of username and username_file"],
    ["basic_auth: {password: a, password_file: b}", "only one of password and password_file"],
    ["basic_auth: {password_ref: b}", "secret manager"],
    ["basic_auth: {user: a}", "unknown key"],
    ["authorization: {type: Basic}", "basic_auth"],
    ["authorization: {credentials: a, credentials_file: b}", "only one of credentials and credentials_file"],
    ["oauth2: {}", "client_id is missing"],
    ["oauth2: {client_id: a}", "token_url is missing"],
    ["oauth2: {client_id: a, token_url: b, client_secret: c, client_secret_file: d}", "only one of client_secret"],
    [
      `oauth2: {client_id: a, token_url: b, grant_type: ${JWT}, signature_algorithm: HS256}`,
      "expected one of RS256, RS384, RS512",
    ],
    ["oauth2: {client_id: a, token_url: b, no_proxy: c}", "no_proxy needs proxy_url"],
    ["oauth2: {client_id: a, token_url: b, tls_config: {cert_file: c}}", "needs key or key_file"],
    ["tls_config: {ca: a, ca_file: b}", "only one of ca and ca_file"],
    ["tls_config: {cert_file: a}", "needs key or key_file"],
    ["tls_config: {key_file: a}", "needs cert or cert_file"],
    ["tls_config: {min_version: TLS14}", "expected one of TLS10"],
    ["no_proxy: a", "no_proxy needs proxy_url"],
    ["proxy_from_environment: true, proxy_url: http://p", "excludes proxy_url"],
    ["proxy_from_environment: true, no_proxy: p", "excludes no_proxy"],
    ["proxy_connect_header: {a: [b]}", "needs proxy_url"],
    ["proxy_connect_header: {a: b}, proxy_url: http://p", "expected a list"],
    ["proxy_url: http://a b", "bad character in the host"],
    ["http_headers: {host: {values: [a]}}", "reserved"],
    ["http_headers: {X-Prometheus-Scrape-Timeout-Seconds: {values: [a]}}", "reserved"],
    ["http_headers: {X-A: {foo: b}}", "unknown key"],
    ["follow_redirects: a", "expected true or false"],
    ['follow_redirects: "true"', "expected true or false"],
    ["sigv4: {}", "unknown key"],
  ])("refuse %s", (keys, message) => {
    expect(testDecode(inJob(keys)).issues.join("\n")).toContain(message);
  });

  it("shows no secret in a message", () => {
    const { issues } = testDecode(
      inJob(
        "proxy_url: http://u:hunter2@a b, basic_auth: {password: [hunter2]}, proxy_connect_header: {a: [[hunter2]]}, bearer_token: {hunter2: 1}",
      ),
    );
    expect(issues.length).toBeGreaterThan(3);
    expect(issues.join("\n").replaceAll("proxy_connect_header::a", "")).not.toContain("hunter2");
  });

  it.each([
    ["basic_auth: 'me:hush'", "basic_auth: expected a map, found a text"],
    ["authorization: Bearer hush", "authorization: expected a map, found a text"],
    ["oauth2: hush", "oauth2: expected a map, found a text"],
    ["http_headers: {X: hush}", "http_headers::X: expected a map, found a text"],
    ["scrape_interval: 'http://u:hush@h'", 'expected a duration such as 30s or 1h30m, found "http://xxxxx@h"'],
    [
      "static_configs: [{targets: ['http://u:hush@h/m']}]",
      'host:port, found "http://xxxxx@h/m"; http or https belongs',
    ],
  ])("a fault of %s shows no secret", (keys, message) => {
    const { issues } = testDecode(inJob(keys));
    expect(issues.join("\n")).toContain(message);
    expect(issues.join("\n")).not.toContain("hush");
  });
});
