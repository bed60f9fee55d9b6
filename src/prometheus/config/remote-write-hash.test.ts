import { describe, expect, it } from "vitest";
import { testDecode } from "./test-decode.ts";

/** Each name was read off the `remote_name` label of a Prometheus 3.15 agent that ran the entry. */
const NAMES: readonly (readonly [name: string, entry: string])[] = [
  ["e8bfd6", "url: http://127.0.0.1:1/a"],
  [
    "690394",
    `url: http://127.0.0.1:1/c
  authorization: {credentials: x}
  tls_config: {}
  queue_config: {sample_age_limit: 0s, min_backoff: 0s, batch_send_deadline: 0s}`,
  ],
  ["8c6e23", "url: http://127.0.0.1:1/e\n  bearer_token: abc"],
  ["092da6", "url: http://127.0.0.1:1/f\n  bearer_token_file: abc"],
  ["4417b8", "url: http://127.0.0.1:1/g\n  basic_auth: {}\n  headers: {}\n  write_relabel_configs: []"],
  [
    "90ed1e",
    `url: http://127.0.0.1:1/h
  oauth2: {client_id: a, client_secret_file: b, token_url: "http://x/y", claims: {a: {b: [c, 1, true]}}, iss: q,
    audience: r, grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", client_certificate_key_id: kk,
    signature_algorithm: RS256, client_certificate_key_file: rk.pem}`,
  ],
  [
    "59d6db",
    `url: http://127.0.0.1:1/i
  failed_request_logging: true
  proxy_from_environment: true
  metadata_config: {send: false, send_interval: 0s, max_samples_per_send: 1}`,
  ],
  [
    "fd8beb",
    `url: http://127.0.0.1:1/j
  oauth2: {client_id: a, client_secret: b, token_url: "http://x:pw@x/y", grant_type: client_credentials}
  authorization:`,
  ],
  [
    "09003f",
    `url: "http://127.0.0.1:1/k"
  metadata_config:
  tls_config:
  remote_timeout: 0s
  write_relabel_configs:
  - regex: (.*)
    target_label: a
  headers: {"X Y": "long long long long long long long long long long long long long: long long long long long long long long"}`,
  ],
  [
    "ae9b2e",
    `url: http://u:p@127.0.0.1:1/b?x=y
  remote_timeout: 90s
  headers: {X-B: "5", x-c: "", x-d: "multi\\nline", x-e: "true", x-f: "#foo", x-g: "\\u00e9\\u0001",
    x-h: "long long long long long long long long long long long long long long long long long long long long long long long long long long"}
  write_relabel_configs:
  - source_labels: [__name__, "a b"]
    regex: "foo.*"
    action: keep
  - target_label: x
    replacement: ""
  - target_label: y
    separator: ""
    replacement: "$2"
  - regex:
    target_label: z
  - action: hashmod
    modulus: 18446744073709551615
    source_labels: [a]
    target_label: h
  - action: labeldrop
    regex: "a|b"
  - action: Lowercase
    source_labels: []
    target_label: "y"
  send_exemplars: true
  send_native_histograms: true
  round_robin_dns: true
  protobuf_message: io.prometheus.write.v2.Request
  basic_auth: {username: a, password: b}
  tls_config: {insecure_skip_verify: true, min_version: TLS12, server_name: "foo: bar"}
  follow_redirects: false
  enable_http2: true
  proxy_url: http://x:y@prox:80
  no_proxy: a,b
  proxy_connect_header: {A: [b, c]}
  http_headers: {z-a: {values: [b], secrets: [c], files: [d]}, X-Q: {values: [t]}}
  queue_config: {capacity: 5, max_shards: 10, min_shards: 2, max_samples_per_send: 7, batch_send_deadline: 1m30s,
    min_backoff: 1d, max_backoff: 1w, retry_on_http_429: true, sample_age_limit: 5m}
  metadata_config: {send: false, send_interval: 5ms, max_samples_per_send: 3}`,
  ],
  [
    "356e43",
    `url: http://127.0.0.1:1/a b?c=d e#f g
  headers: {a10: x, a9: y, B: z, _: "1", "1": "-", "2.0": "- a", "~": "~", n: "null", q: "it's", c: "a: b", d: " lead",
    e: "trail ", f: "@x", g: "%y", h: "a #b", i: "[x", j: "{x", k: "x,y", l: "!t", m: "a\\tb", o: "12:30:45", p: "0x1f",
    r: "1e3", s: "2001-01-01", t: "=", u: "<<", v: "\\"q\\"", w: "'q'", x: "\\\\back", y: "\\u00e9", z: "\\U0001F600",
    za: "a\\u00a0b", zb: "|x", zc: ">x", zd: "*x", ze: "&x", zf: "?x", zg: "? x", zh: ":", zi: "-", zj: "---", zk: "...",
    zl: "x:", zm: "\`", zn: "yes", zo: ".5", zp: "+1", zq: "0o17", zr: "1_000", zs: "a\\r\\nb", zt: " \\n", zu: "\\nx",
    zv: "x\\n\\n", zw: "a\\n b", zx: "\\u2028", zy: ".inf", zz: "1:"}
  write_relabel_configs:
  - source_labels: ["a,b", "c d", "[x]", "{", "it's", "y", "1", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "cccccccccccccccccccccccccc", "x: y", "x#y", "x #y"]
    target_label: "y"
    regex: "^(a b|c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i j k l m n o p q r)$"
  - target_label: b
    replacement: "$1: and a very long text with a colon that must be folded because it is much longer than eighty"
  - target_label: b
    replacement: "$1\\tand a very long text with a tab that must be folded because it is much longer than eighty and more"
  - target_label: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    regex: "a  b                                                                                                         c"`,
  ],
];

describe("the name of a remote write entry without one", () => {
  it.each(NAMES)("is %s as in Prometheus", (name, entry) => {
    const { config, issues } = testDecode(`remote_write:\n- ${entry}\n`, { baseDir: "." });
    expect(issues).toEqual([]);
    expect(config?.remoteWrite[0]?.name).toBe(name);
  });

  it("does not depend on secrets, so that a changed password keeps the queue", () => {
    const named = (password: string): string | undefined =>
      testDecode(`remote_write: [{url: a, basic_auth: {password: ${password}}}]`).config?.remoteWrite[0]?.name;
    expect(named("a")).toBe(named("b"));
  });
});
