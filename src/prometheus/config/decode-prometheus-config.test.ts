import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodeFromValue } from "../../codec/yaml/parse-yaml.ts";
import { formatConfigIssue } from "../../model/errors.ts";
import { decodePrometheusConfig } from "./decode-prometheus-config.ts";
import { testDecode } from "./test-decode.ts";

describe("decodePrometheusConfig", () => {
  it.each([
    "",
    "{}",
    "global:",
    "global: {}",
    "scrape_configs:\nremote_write:",
    "rule_files: []\nalerting: {}\nremote_read: []",
  ])("takes %j for an empty configuration", (text) => {
    const { config, issues } = testDecode(text);
    expect(issues).toEqual([]);
    expect(config).toMatchObject({ scrapeConfigs: [], remoteWrite: [], global: { scrapeIntervalMs: 60_000 } });
  });

  it("reports every fault at once, each with path, place and nearest key", () => {
    const { issues, config } = testDecode(
      [
        "global: {scrape_intervall: 5s}",
        "scrape_configs:",
        "  - job_name: a",
        "    scrape_interval: 5x",
        "    relabel_configs: [{action: hashmod}]",
        "remote_writ: []",
      ].join("\n"),
    );
    expect(config).toBeUndefined();
    expect(issues).toEqual([
      'remote_writ: unknown key, did you mean "remote_write"? (test.yml:6:1)',
      'global::scrape_intervall: unknown key, did you mean "scrape_interval"? (test.yml:1:10)',
      "scrape_configs[0]::relabel_configs[0]::modulus: hashmod needs a modulus other than 0 (test.yml:5:23)",
      "scrape_configs[0]::relabel_configs[0]::target_label: hashmod needs a target_label (test.yml:5:23)",
      'scrape_configs[0]::scrape_interval: expected a duration such as 30s or 1h30m, found "5x" (test.yml:4:22)',
    ]);
  });

  it("writes paths below the place of the block", () => {
    const root = nodeFromValue({ scrape_configs: [{ job_name: "a", scrape_intervall: "5s" }] });
    const { issues } = decodePrometheusConfig(root, {
      mode: "receiver",
      basePath: ["receivers", "prometheus", "config"],
      baseDir: "",
      notice: () => {},
    });
    expect(issues.map(formatConfigIssue)).toEqual([
      'receivers::prometheus::config::scrape_configs[0]::scrape_intervall: unknown key, did you mean "scrape_interval"?',
    ]);
  });

  it("decodes plain values as well as text", () => {
    const root = nodeFromValue({
      global: { scrape_interval: "15s", sample_limit: 1e3 },
      scrape_configs: [{ job_name: 5, honor_labels: true, static_configs: [{ targets: ["h:1"] }] }],
    });
    const { config } = decodePrometheusConfig(root, { mode: "receiver", basePath: [], baseDir: "", notice: () => {} });
    expect(config?.scrapeConfigs[0]).toMatchObject({
      jobName: "5",
      honorLabels: true,
      sampleLimit: 1000,
      scrapeIntervalMs: 15_000,
    });
  });

  it("expands and sorts external labels, and names variables that are not set", () => {
    const env = (name: string): string | undefined => (name === "TEST" ? "v" : undefined);
    const { config, notices } = testDecode('global: {external_labels: {b: "x${TEST}", a: $UNSET, c: 1, d: $$}}', {
      env,
    });
    expect(config?.global.externalLabels).toEqual([
      ["a", ""],
      ["b", "xv"],
      ["c", "1"],
      ["d", "$"],
    ]);
    expect(notices).toEqual([expect.stringContaining("the environment variable UNSET is empty or not set")]);
  });

  it.each([
    ["foo", "expected a map"],
    ["- a", "expected a map"],
    ["global: {scrape_interval: 5s, scrape_timeout: 6s}", "scrape_timeout is longer than scrape_interval"],
    ["global: {native_histogram_bucket_limit: 4}", "unknown key"],
    ["global: {evaluation_interval: x}", "expected a duration"],
    ["global: {external_labels: [a]}", "expected a map"],
    ['global: {metric_name_validation_scheme: legacy, external_labels: {"c d": x}}', "expected a label name"],
    ['global: {external_labels: {a: !!binary "/w=="}}', ""],
    ["runtime: {gogc: a}", "expected a whole number"],
    ["runtime: {log_level: foo}", "expected one of debug"],
    ["storage: {tsdb: {wal_compression: true}}", "unknown key"],
    ["storage: {tsdb: {retention: {size: 5}}}", "expected a size"],
    ["storage: {tsdb: {chunk_encoding: {floats: XOR}}}", "expected one of xor"],
    ["tracing: {}", "endpoint is missing"],
    ["tracing: {endpoint: a, client_type: foo}", "expected grpc or http"],
    ["otlp: {translation_strategy: foo}", "expected one of Underscore"],
    ["otlp: {disable_target_info: true}", "unknown key"],
    ["alerting: {foo: 1}", "unknown key"],
    ["alerting: {alertmanagers: [{}]}", "not allowed in agent mode"],
    ["rule_files: [a]", "not allowed in agent mode"],
    ["remote_read: [{url: a}]", "not allowed in agent mode"],
    ["scrape_config_files: a", "expected a list"],
    ["scrape_config_files: [a/*/b]", "at most one *"],
  ])("refuses %s", (text, message) => {
    const { issues } = testDecode(text);
    expect(issues.length).toBeGreaterThan(0);
    expect(issues.join("\n")).toContain(message);
  });

  it.each([
    "runtime: {gogc: -1, log_level: DEBUG}",
    "storage: {exemplars: {max_exemplars: 5}, tsdb: {out_of_order_time_window: 5m}}",
    "tracing: {endpoint: a, sampling_fraction: 2, headers: {a: b}}",
    "otlp: {promote_scope_metadata: true}",
  ])("accepts %s and names it once", (text) => {
    const { issues, notices } = testDecode(text);
    expect(issues).toEqual([]);
    expect(notices).toEqual([expect.stringMatching(/: this section is accepted and has no effect \(test\.yml:1:1\)$/)]);
  });

  it.each([
    "remote_write: [{url: a}]",
    "remote_read: [{url: a}]",
    "rule_files: [a]",
    "alerting: {alertmanagers: [{}]}",
  ])("refuses %s in the Collector's receiver", (text) => {
    expect(testDecode(text, { mode: "receiver" }).issues.join()).toContain("not supported by the prometheus receiver");
  });

  it("asks the Collector's receiver for its credential and certificate files", () => {
    const text =
      "scrape_configs: [{job_name: a, authorization: {credentials_file: /x}, tls_config: {cert_file: /y, key_file: /z}}]";
    const fileExists = (path: string): boolean => path === "/z";
    const { issues } = testDecode(text, { mode: "receiver", fileExists });
    expect(issues.join("\n")).toMatch(/"\/x" does not exist.*"\/y" does not exist/s);
    expect(issues).toHaveLength(2);
    expect(testDecode(text, { fileExists }).issues).toEqual([]);
  });
});

describe("scrape_config_files", () => {
  let directory = "";

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "millrace-config-"));
    mkdirSync(join(directory, "jobs"));
    writeFileSync(join(directory, "jobs/b.yml"), "scrape_configs: [{job_name: b, tls_config: {ca_file: ../ca.pem}}]");
    writeFileSync(join(directory, "jobs/.c.yml"), "scrape_configs: [{job_name: c}]\n---\nignored: true\n");
    writeFileSync(join(directory, "jobs/bad.txt"), "scrape_configs: [{job_name: d, foo: 1}]\nother: 1");
    writeFileSync(join(directory, "jobs/broken.txt"), "a: [");
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  it("adds the jobs of every match, paths beside their file, limits from global", () => {
    const text =
      "global: {sample_limit: 7}\nscrape_configs: [{job_name: a}]\nscrape_config_files: [jobs/*.yml, none/*.yml, none.yml]";
    const { config, issues } = testDecode(text, { baseDir: directory });
    expect(issues).toEqual([]);
    expect(config?.scrapeConfigs.map((job) => job.jobName)).toEqual(["a", "c", "b"]);
    expect(config?.scrapeConfigs[2]).toMatchObject({
      sampleLimit: 7,
      http: { tls: { caFile: join(directory, "ca.pem") } },
    });
    expect(config?.scrapeConfigFilesRead).toEqual([join(directory, "jobs/.c.yml"), join(directory, "jobs/b.yml")]);
  });

  it.each([
    ["jobs/bad.txt", /scrape_configs\[0\]::foo: unknown key.*bad\.txt:1:/],
    ["jobs/bad.txt", /other: unknown key.*bad\.txt:2:1/],
    ["jobs/broken.txt", /YAML: .*broken\.txt:/],
    ["jobs", /scrape_config_files\[0\]: cannot be read/],
  ])("reports what is wrong in %s at its place", (pattern, message) => {
    const { issues } = testDecode(`scrape_config_files: [${pattern}]`, { baseDir: directory });
    expect(issues.join("\n")).toMatch(message);
  });

  it("refuses a job name that another file uses too", () => {
    const text = "scrape_config_files: [jobs/b.yml, jobs/b.yml]";
    expect(testDecode(text, { baseDir: directory }).issues.join()).toContain('the job_name "b" is used twice');
    expect(testDecode(text, { baseDir: directory, syntaxOnly: true }).issues).toEqual([]);
  });
});
