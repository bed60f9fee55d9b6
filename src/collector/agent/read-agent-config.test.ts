/** The agent's file: what it becomes, and which faults are named where. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConfigError, formatConfigIssue } from "../../model/errors.ts";
import { readAgentConfig } from "./read-agent-config.ts";

let folder = "";
let file = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "millrace-agent-"));
  file = join(folder, "prometheus.yml");
});

afterEach(() => rmSync(folder, { recursive: true }));

function read(text: string, env: Readonly<Record<string, string>> = {}, syntaxOnly = false) {
  writeFileSync(file, text);
  return readAgentConfig(file, env, syntaxOnly);
}

/** The issues as lines, without the folder. */
function issuesOf(work: () => unknown): string[] {
  try {
    work();
  } catch (caught) {
    if (!(caught instanceof ConfigError)) throw caught;
    return caught.issues.map((issue) => formatConfigIssue(issue).replaceAll(`${folder}/`, ""));
  }
  return [];
}

describe("readAgentConfig", () => {
  test("gives the configuration, its text and what has no effect", () => {
    const text = "remote_write: [{url: 'http://h/w'}]\nscrape_configs: [{job_name: a}]\nstorage: {tsdb: {}}\n";
    const { config, notices, text: kept } = read(text);
    expect(config.scrapeConfigs.map(({ jobName }) => jobName)).toEqual(["a"]);
    expect(config.remoteWrite.map(({ url }) => url)).toEqual(["http://h/w"]);
    expect(kept).toBe(text);
    expect(notices.map(({ path }) => path)).toEqual(["storage"]);
    expect(notices[0]?.at).toMatchObject({ file, line: 3 });
  });

  test.each(["", "# nothing but a comment\n", "{}", "---\n"])("takes an empty file (%j)", (text) => {
    const { config } = read(text);
    expect([config.scrapeConfigs, config.remoteWrite]).toEqual([[], []]);
  });

  test("replaces variables in external labels, those of the environment only", () => {
    const { config } = read("global: {external_labels: {a: '${HERE}', b: '$GONE.', c: '$$x'}}", { HERE: "there" });
    expect(config.global.externalLabels).toEqual([
      ["a", "there"],
      ["b", "."],
      ["c", "$x"],
    ]);
  });

  test("finds files beside the configuration, wherever the process runs", () => {
    writeFileSync(join(folder, "more.yml"), "scrape_configs: [{job_name: more}]");
    const { config } = read("scrape_config_files: [more.yml]\nscrape_configs: [{job_name: a}]");
    expect(config.scrapeConfigs.map(({ jobName }) => jobName)).toEqual(["a", "more"]);
    expect(config.scrapeConfigFilesRead).toEqual([join(folder, "more.yml")]);
  });

  test("ignores a second document, as Prometheus does", () => {
    const { config } = read("scrape_configs: [{job_name: a}]\n---\nnonsense: true\n");
    expect(config.scrapeConfigs.length).toBe(1);
  });

  test("names a file that cannot be read", () => {
    expect(issuesOf(() => readAgentConfig(file, {}))).toEqual([
      '--config.file: cannot read the file "prometheus.yml": no such file',
    ]);
    expect(issuesOf(() => readAgentConfig(folder, {}))[0]).toMatch(/: it is a directory$/);
  });

  test.each([
    ["scrape_configs: [", /^YAML: .* \(prometheus\.yml:1:18\)$/],
    ["global:\n\tx: 1\n", /^YAML: .* \(prometheus\.yml:2:\d\)$/],
    ["- a list", /^expected a map, found a list \(prometheus\.yml:1:1\)$/],
    ["scrape_configs: []\nrule_files: [rules.yml]\n", /^rule_files: .* \(prometheus\.yml:2:\d+\)$/],
  ])("refuses %j with its place", (text, expected) => {
    expect(issuesOf(() => read(text))[0]).toMatch(expected);
  });

  test("says so once when it is given a collector's file", () => {
    const text = "receivers: {}\nexporters: {}\nservice: {pipelines: {}}\n";
    expect(issuesOf(() => read(text))).toEqual([
      "this looks like a collector's configuration, which is for millrace run --config; " +
        "millrace agent takes a prometheus.yml (prometheus.yml:1:1)",
    ]);
  });

  test("names all faults of the file at once", () => {
    const text = "global: {scrape_intervall: 1s}\nscrape_configs:\n  - {job_name: a, scheme: ftp, sample_limit: x}\n";
    const issues = issuesOf(() => read(text));
    expect(issues.join("\n")).toMatch(/^global::scrape_intervall: .*scrape_interval.* \(prometheus\.yml:1:10\)$/m);
    expect(issues.join("\n")).toMatch(/^scrape_configs\[0\]::sample_limit: .* \(prometheus\.yml:3:\d+\)$/m);
  });

  test("keeps secrets out of errors", () => {
    const text = "remote_write: [{url: 'http://user:hunter2@h:99999/w', basic_auth: {password: hunter2, x: 1}}]";
    const issues = issuesOf(() => read(text));
    expect(issues.length).toBeGreaterThan(0);
    expect(issues.join("\n")).not.toContain("hunter2");
  });
});
