import { describe, expect, it } from "vitest";
import { testDecode, testRemoteWrite } from "./test-decode.ts";

const entry = (keys: string): string => `remote_write: [{url: "http://h/w", ${keys}}]`;

describe("remote_write", () => {
  it("has the defaults of Prometheus", () => {
    expect(testRemoteWrite("")).toMatchObject({
      url: "http://h/w",
      remoteTimeoutMs: 30_000,
      headers: {},
      writeRelabelConfigs: [],
      sendExemplars: false,
      sendNativeHistograms: false,
      protobufMessage: "prometheus.WriteRequest",
      http: { enableHttp2: false, followRedirects: true },
      queueConfig: {
        capacity: 10_000,
        maxShards: 50,
        minShards: 1,
        maxSamplesPerSend: 2_000,
        batchSendDeadlineMs: 5_000,
        minBackoffMs: 30,
        maxBackoffMs: 5_000,
        retryOnHttp429: undefined,
        sampleAgeLimitMs: 0,
      },
      metadataConfig: { send: true, sendIntervalMs: 60_000, maxSamplesPerSend: 2_000 },
    });
  });

  it("tells an explicit retry_on_http_429: false from an absent one", () => {
    expect(testRemoteWrite("queue_config: {retry_on_http_429: false}").queueConfig.retryOnHttp429).toBe(false);
  });

  it.each([
    "remote_timeout: 0s",
    'headers: {Accept: b, X-A: 5, "A b": c}',
    "queue_config: {}",
    "queue_config: {capacity: 1.5, batch_send_deadline: 0s, min_backoff: 0s, sample_age_limit: 5m}",
    "metadata_config: {send_interval: 0s, max_samples_per_send: 0, send: false}",
    'write_relabel_configs: [{target_label: "a b"}]',
    "name: b c",
    "protobuf_message: io.prometheus.write.v2.Request",
  ])("accepts %s", (keys) => {
    expect(testDecode(entry(keys)).issues).toEqual([]);
  });

  it.each(['""', "foo", "5", "localhost:9090"])("accepts the url %s, as Prometheus does", (url) => {
    expect(testDecode(`remote_write: [{url: ${url}}]`).issues).toEqual([]);
  });

  it.each([
    ["remote_write: [~]", "found nothing"],
    ["remote_write: [{}]", "url is missing"],
    ["remote_write: [{url: }]", "url is missing"],
    ['remote_write: [{url: "127.0.0.1:9090"}]', "expected a URL"],
    ["remote_write: {url: a}", "expected a list"],
    [entry("remote_timeout: 5"), "expected a duration"],
    [entry("headers: {host: x}"), "reserved"],
    [entry("headers: {X-Prometheus-Remote-Read-Version: x}"), "reserved"],
    [entry("headers: {Authorization: x}"), "set by basic_auth, authorization or oauth2"],
    [entry("protobuf_message: foo"), "expected one of prometheus.WriteRequest"],
    [entry("protobuf_message: "), "expected one of prometheus.WriteRequest"],
    [entry("queue_config: "), "max_shards must be above 0"],
    [entry("queue_config: {capacity: 0}"), "capacity must be above 0"],
    [entry("queue_config: {capacity: 0.5}"), "capacity must be above 0"],
    [entry("queue_config: {max_shards: -1}"), "max_shards must be above 0"],
    [entry("queue_config: {min_shards: 60}"), "min_shards is above max_shards"],
    [entry("queue_config: {max_samples_per_send: 0}"), "max_samples_per_send must be above 0"],
    [entry("queue_config: {min_backoff: 10s}"), "max_backoff is shorter than min_backoff"],
    [entry("metadata_config: {foo: 1}"), "unknown key"],
    [entry("write_relabel_configs: [~]"), "expected a relabeling rule"],
    [entry("sigv4: {region: a}"), "cloud authentication comes later: sigv4"],
    [entry("azuread: {}"), "cloud authentication comes later: azuread"],
    [entry("google_iam: {}"), "cloud authentication comes later: google_iam"],
    [entry("basic_auth: {username: a}, sigv4: {}"), "only one of basic_auth, sigv4"],
    ["remote_write: [{url: a, name: x}, {url: b, name: x}]", 'the name "x" is used twice'],
    ["remote_write: [{url: a, bearer_token: x}, {url: a, bearer_token: y}]", "is used twice"],
    [
      'global: {metric_name_validation_scheme: legacy}\nremote_write: [{url: a, write_relabel_configs: [{target_label: "a b"}]}]',
      "expected a legacy label name",
    ],
  ])("refuses %s", (text, message) => {
    expect(testDecode(text).issues.join("\n")).toContain(message);
  });

  it("lets equal entries without names pass where only the syntax is asked for", () => {
    expect(testDecode("remote_write: [{url: a}, {url: a}]", { syntaxOnly: true }).issues).toEqual([]);
  });

  it("names what waits for later once, with its place", () => {
    const { notices } = testDecode(
      'remote_write:\n- {url: "http://a", protobuf_message: io.prometheus.write.v2.Request}\n- {url: "http://b", protobuf_message: io.prometheus.write.v2.Request, send_native_histograms: true}',
    );
    expect(notices).toEqual([
      "remote_write[0]::protobuf_message: remote write 2.0 is not built yet: 1.0 is sent (test.yml:2:21)",
      expect.stringMatching(/^remote_write\[1\]::send_native_histograms: .*\(test\.yml:3:\d+\)$/),
    ]);
  });

  it("gives equal entries equal fingerprints, and others others", () => {
    const { fingerprint } = testRemoteWrite("bearer_token: a");
    expect(testRemoteWrite("bearer_token: a, remote_timeout: 30s").fingerprint).toBe(fingerprint);
    expect(testRemoteWrite("bearer_token: b").fingerprint).not.toBe(fingerprint);
    expect(fingerprint).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each(["localhost:9009", "ftp://u:hush@h/w", "/api"])("warns that nothing can be sent to %s", (url) => {
    expect(testDecode(`remote_write: [{url: "${url}"}]`)).toMatchObject({
      issues: [],
      notices: ["remote_write[0]::url: expected an http or https URL: nothing can be sent to this one (test.yml:1:22)"],
    });
  });
});
