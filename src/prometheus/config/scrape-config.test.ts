import { describe, expect, it } from "vitest";
import { testDecode, testJob } from "./test-decode.ts";

const inJob = (keys: string): string => `scrape_configs: [{job_name: a, ${keys}}]`;

describe("a scrape configuration", () => {
  it("has the defaults of Prometheus", () => {
    expect(testJob("")).toMatchObject({
      jobName: "a",
      honorLabels: false,
      honorTimestamps: true,
      trackTimestampsStaleness: false,
      params: {},
      scrapeIntervalMs: 60_000,
      scrapeTimeoutMs: 10_000,
      scrapeProtocols: ["OpenMetricsText1.0.0", "OpenMetricsText0.0.1", "PrometheusText1.0.0", "PrometheusText0.0.4"],
      fallbackScrapeProtocol: undefined,
      metricsPath: "/metrics",
      scheme: "http",
      enableCompression: true,
      bodySizeLimitBytes: 0,
      sampleLimit: 0,
      metricNameValidationScheme: "utf8",
      metricNameEscapingScheme: "allow-utf-8",
      extraScrapeMetrics: false,
      sdConfigs: [],
    });
  });

  it("asks for text as a fallback in the Collector's receiver", () => {
    expect(testJob("", { mode: "receiver" }).fallbackScrapeProtocol).toBe("PrometheusText0.0.4");
  });

  it.each([
    ["", "scrape_interval: 5s", 5_000, 5_000],
    ["", "scrape_interval: 25h", 90_000_000, 10_000],
    ["scrape_interval: 15s", "", 15_000, 10_000],
    ["scrape_interval: 5s", "", 5_000, 5_000],
    ["scrape_interval: 1h, scrape_timeout: 1h", "", 3_600_000, 3_600_000],
    ["scrape_timeout: 20s", "scrape_interval: 15s", 15_000, 15_000],
    ["scrape_interval: 0", "scrape_interval: 0s, scrape_timeout: ", 60_000, 10_000],
  ])("with global {%s} and {%s} has its interval and timeout", (global, keys, intervalMs, timeoutMs) => {
    expect(testJob(keys, { global })).toMatchObject({ scrapeIntervalMs: intervalMs, scrapeTimeoutMs: timeoutMs });
  });

  it("inherits limits, and 0 does not switch them off", () => {
    const global = "sample_limit: 5, body_size_limit: 1.5MB, label_limit: 3, keep_dropped_targets: 9";
    expect(testJob("sample_limit: 0, label_limit: 1.9, target_limit: 010", { global })).toMatchObject({
      sampleLimit: 5,
      bodySizeLimitBytes: 1_572_864,
      labelLimit: 1,
      targetLimit: 8,
      keepDroppedTargets: 9,
    });
  });

  it.each([
    ["", "metric_name_validation_scheme: legacy", "legacy", "underscores"],
    ["", "metric_name_validation_scheme: legacy, metric_name_escaping_scheme: values", "legacy", "values"],
    ["metric_name_validation_scheme: legacy", "", "legacy", "underscores"],
    ["metric_name_validation_scheme: legacy", "metric_name_validation_scheme: utf8", "utf8", "allow-utf-8"],
    ["metric_name_escaping_scheme: dots", "", "utf8", "dots"],
    ["metric_name_escaping_scheme: dots", "metric_name_validation_scheme: legacy", "legacy", "underscores"],
    ["metric_name_escaping_scheme: dots", "metric_name_validation_scheme: utf8", "utf8", "allow-utf-8"],
    ["metric_name_escaping_scheme: allow-utf-8", "metric_name_validation_scheme: legacy", "legacy", "underscores"],
  ])("with global {%s} and {%s} is %s, escaped by %s", (global, keys, validation, escaping) => {
    expect(testJob(keys, { global })).toMatchObject({
      metricNameValidationScheme: validation,
      metricNameEscapingScheme: escaping,
    });
  });

  it("gives a key without a value the zero value", () => {
    expect(
      testJob("metrics_path: , scheme: , honor_timestamps: , enable_compression: , follow_redirects: "),
    ).toMatchObject({
      metricsPath: "",
      scheme: "",
      honorTimestamps: false,
      enableCompression: false,
      http: { followRedirects: false },
    });
  });

  it("takes the text of a number or boolean for a string", () => {
    expect(testJob("params: {a: [010, true, ~, 1.50]}").params).toEqual({ a: ["010", "true", "", "1.50"] });
    expect(testDecode("scrape_configs: [{job_name: 0x1F}]").config?.scrapeConfigs[0]?.jobName).toBe("0x1F");
  });

  it("puts protocol buffers first where native histograms are on", () => {
    const job = testJob("scrape_native_histograms: true");
    expect(job.scrapeProtocols[0]).toBe("PrometheusProto");
    expect(testJob("", { global: "scrape_protocols: [PrometheusText0.0.4]" }).scrapeProtocols).toEqual([
      "PrometheusText0.0.4",
    ]);
  });

  it.each([
    "honor_labels: yes",
    "honor_labels: ",
    "sample_limit: 0x10",
    "sample_limit: 1e3",
    "sample_limit: 18446744073709551616",
    "scheme: ftp",
    "body_size_limit: 0",
    "body_size_limit: ",
    "scrape_protocols: ",
    "scrape_protocols: [OpenMetricsText2.0.0]",
    'metric_name_validation_scheme: ""',
    "params: {__proto__: [b], a: }",
    "native_histogram_min_bucket_factor: -1.5",
    "static_configs: [{}]",
    'static_configs: [{targets: [a, a], labels: {"a b": c, __proto__: d, e: }}]',
    "static_configs: [{targets: [http://a]}], relabel_configs: [{action: keep}]",
    "kubernetes_sd_configs: ~",
    "file_sd_configs: [{files: [a.yml, a/b*.json], refresh_interval: 0s}]",
    "dns_sd_configs: [{names: [a], type: srv}, {names: [a], type: Mx, port: 70000}]",
    "http_sd_configs: [{url: http://a, refresh_interval: 5s, basic_auth: {}}]",
  ])("accepts %s", (keys) => {
    expect(testDecode(inJob(keys)).issues).toEqual([]);
  });

  it.each([
    ["scrape_configs: {}", "expected a list, found a map"],
    ["scrape_configs: foo", 'expected a list, found "foo"'],
    ["scrape_configs: [~]", "found nothing"],
    ["scrape_configs: [{job_name: }]", "job_name is missing or empty"],
    ["scrape_configs: [{job_name: [1]}]", "expected a string, found a list"],
    ["scrape_configs: [{job_name: a}, {job_name: a}]", 'scrape_configs: the job_name "a" is used twice'],
    [inJob("scrape_intervall: 5s"), 'unknown key, did you mean "scrape_interval"?'],
    [inJob("scrape_classic_histograms: true"), "unknown key"],
    [inJob('honor_labels: "true"'), "expected true or false"],
    [inJob("honor_labels: 1"), "expected true or false"],
    [inJob('sample_limit: "5"'), "expected a whole number"],
    [inJob("sample_limit: -5"), "expected a whole number"],
    [inJob("body_size_limit: 100"), "expected a size with its unit"],
    [inJob("scrape_interval: 1m1m"), "expected a duration"],
    [inJob("scrape_timeout: 2m"), "scrape_timeout is longer than scrape_interval"],
    [inJob("params: {a: b}"), "expected a list"],
    [inJob("scrape_protocols: []"), "expected at least one protocol"],
    [inJob("scrape_protocols: [prometheusproto]"), "expected one of OpenMetricsText0.0.1"],
    [inJob("scrape_protocols: [PrometheusText0.0.4, prometheustext0.0.4]"), "is listed twice"],
    [inJob("fallback_scrape_protocol: [a]"), "expected a string"],
    [inJob("metric_name_escaping_scheme: foo"), "expected one of allow-utf-8"],
    [inJob("metric_name_validation_scheme: foo"), "expected utf8 or legacy"],
    [
      inJob("metric_name_validation_scheme: legacy, metric_name_escaping_scheme: allow-utf-8"),
      "needs the validation scheme",
    ],
    [inJob('native_histogram_min_bucket_factor: "1"'), "expected a number"],
    [inJob("static_configs: [~]"), "expected an entry of static_configs"],
    [inJob("static_configs: [{targets: [http://a]}], relabel_configs: []"), "expected host or host:port"],
    [inJob('static_configs: [{labels: {"": a}}]'), "expected a label name"],
    [inJob("static_configs: [{targets: a}]"), "expected a list"],
    [inJob("static_configs: [{target: []}]"), 'did you mean "targets"?'],
    [inJob("foo_sd_configs: []"), "unknown key"],
    [inJob("consul_sd_configs: [~]"), "expected an entry of consul_sd_configs"],
    [inJob("consul_sd_configs: [a]"), "expected a map"],
    [inJob("consul_sd_configs: {}"), "expected a list"],
    [inJob("file_sd_configs: [{}]"), "expected at least one file"],
    [inJob("file_sd_configs: [{files: [a.Yml]}]"), "expected a .json, .yml or .yaml file"],
    [inJob("file_sd_configs: [{files: [a/*/b.yml]}]"), "at most one *"],
    [inJob("http_sd_configs: [{}]"), "url is missing"],
    [inJob("http_sd_configs: [{url: ftp://a}]"), "expected a URL with http or https"],
    [inJob("http_sd_configs: [{url: 'http://'}]"), "expected a URL with a host"],
    [inJob("dns_sd_configs: [{}]"), "expected at least one name"],
    [inJob("dns_sd_configs: [{names: [a], type: a}]"), "the record type A needs a port"],
    [inJob("dns_sd_configs: [{names: [a], type: ptr, port: 1}]"), "expected one of SRV"],
    [inJob("dns_sd_configs: [{names: [a], type: , port: 1}]"), "expected one of SRV"],
    [inJob('dns_sd_configs: [{names: [a], port: "80"}]'), "expected a whole number"],
  ])("refuses %s", (text, message) => {
    expect(testDecode(text).issues.join("\n")).toContain(message);
  });

  it("decodes its discovery, paths beside the file", () => {
    const job = testJob(
      [
        "static_configs: [{targets: ['a:1'], labels: {b: c}}]",
        "file_sd_configs: [{files: [d.yml, /e.json]}]",
        "http_sd_configs: [{url: http://h}]",
        "dns_sd_configs: [{names: [n], type: a, port: 80}]",
        "consul_sd_configs: [{server: x}]",
      ].join(", "),
      { baseDir: "/etc/prom" },
    );
    expect(job.sdConfigs).toMatchObject([
      { kind: "static", groups: [{ source: "0", targets: [{ __address__: "a:1" }], labels: { b: "c" } }] },
      { kind: "file", files: ["/etc/prom/d.yml", "/e.json"], refreshIntervalMs: 300_000 },
      { kind: "http", url: "http://h", refreshIntervalMs: 60_000 },
      { kind: "dns", names: ["n"], type: "A", port: 80, refreshIntervalMs: 30_000 },
      { kind: "later", key: "consul_sd_configs" },
    ]);
  });

  it.each([
    ["consul_sd_configs: [{server: x}]", "consul_sd_configs"],
    ["scrape_native_histograms: true", "scrape_native_histograms"],
    ["convert_classic_histograms_to_nhcb: true", "convert_classic_histograms_to_nhcb"],
    ["native_histogram_bucket_limit: 5", "native_histogram_bucket_limit"],
    ["scrape_protocols: [PrometheusProto]", "scrape_protocols"],
  ])("names once that %s does not act", (keys, key) => {
    const { notices, issues } = testDecode(`scrape_configs: [{job_name: a, ${keys}}, {job_name: b, ${keys}}]`);
    expect(issues).toEqual([]);
    expect(notices).toEqual([
      expect.stringMatching(new RegExp(`^scrape_configs\\[0\\]::${key}: .*\\(test\\.yml:1:\\d+\\)$`)),
    ]);
  });

  it.each(["scrape_native_histograms: false", "convert_classic_histograms_to_nhcb: ", "honor_labels: true"])(
    "says nothing about %s",
    (keys) => {
      expect(testDecode(inJob(keys)).notices).toEqual([]);
    },
  );

  it("has a fingerprint of its effective content", () => {
    const { fingerprint } = testJob("basic_auth: {password: a}");
    expect(testJob("basic_auth: {password: a}, scrape_interval: 1m").fingerprint).toBe(fingerprint);
    expect(testJob("basic_auth: {password: b}").fingerprint).not.toBe(fingerprint);
    expect(testJob("basic_auth: {password: a}", { global: "sample_limit: 1" }).fingerprint).not.toBe(fingerprint);
    expect(testJob("basic_auth: {password: a}, relabel_configs: [{action: keep, modulus: 2}]").fingerprint).not.toBe(
      fingerprint,
    );
  });

  it("is named with its whole path within a receiver", () => {
    const options = { mode: "receiver", basePath: ["receivers", "prometheus", "config"] } as const;
    const { issues } = testDecode("scrape_configs: [{job_name: a}, {job_name: a}]", options);
    expect(issues).toEqual([
      'receivers::prometheus::config::scrape_configs: the job_name "a" is used twice (test.yml:1:33)',
    ]);
  });
});
