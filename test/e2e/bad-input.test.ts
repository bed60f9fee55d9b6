/** Hostile targets beside healthy ones in one `millrace agent`: what they do to themselves, and to nobody else. */

import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import * as hostile from "../kit/hostile-pages.ts";
import { readOwnMetrics, readTargets } from "../kit/own-metrics.ts";
import { PageExporter, type Served } from "../kit/page-exporter.ts";
import { RecordingSink } from "../kit/recording-sink.ts";
import { staleBits } from "../kit/remote-write-message.ts";
import { scrapeFaults, upOf, upValues } from "../kit/scrape-gaps.ts";
import { startMillraceAgent } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const intervalMs = 1000;
const healthyTargets = 5;
const scrapes = 8;
const maxResidentBytes = 600 * 1024 * 1024;

interface HostileCase {
  readonly name: string;
  readonly served: Served;
  /** Reason in log and counter. */
  readonly reason: string;
  /** Part of the error. */
  readonly error: RegExp;
  /** The error says where in the page. */
  readonly hasOffset?: boolean;
  readonly job?: Readonly<Record<string, unknown>>;
}

const badUtf8 = Buffer.concat([Buffer.from('good 1\nbad{l="'), Buffer.from([0xff, 0xfe]), Buffer.from('"} 1\n')]);

const cases: readonly HostileCase[] = [
  { name: "endless_page", served: hostile.endlessLines, reason: "body_size_limit", error: /body size limit exceeded/ },
  {
    name: "endless_line",
    served: hostile.endless(Buffer.alloc(65536, "x")),
    reason: "body_size_limit",
    error: /body size limit exceeded/,
  },
  { name: "gzip_bomb", served: hostile.gzipBomb(1024), reason: "body_size_limit", error: /body size limit exceeded/ },
  {
    name: "own_body_limit",
    served: { body: "a 1\n".repeat(300) },
    job: { body_size_limit: "1KB" },
    reason: "body_size_limit",
    error: /body_size_limit of 1024/,
  },
  { name: "long_line", served: hostile.longLine(10_000_000), reason: "own_limit", error: /line/, hasOffset: true },
  {
    name: "million_labels",
    served: hostile.manyLabels(1_000_000),
    reason: "own_limit",
    error: /line/,
    hasOffset: true,
  },
  { name: "many_labels", served: hostile.manyLabels(600), reason: "own_limit", error: /labels/, hasOffset: true },
  {
    name: "million_series",
    served: hostile.manySeries(1_000_000),
    reason: "own_limit",
    error: /series/,
    hasOffset: true,
  },
  {
    name: "sample_limit",
    served: hostile.manySeries(20),
    job: { sample_limit: 10 },
    reason: "sample_limit",
    error: /limit: 10/,
    hasOffset: true,
  },
  { name: "reset_in_the_middle", served: hostile.resetInTheMiddle, reason: "network", error: /./ },
  { name: "closes_at_once", served: "reset", reason: "network", error: /./ },
  { name: "slow_drip", served: hostile.slowDrip, reason: "timeout", error: /context deadline exceeded/ },
  { name: "never_answers", served: hostile.neverAnswers, reason: "timeout", error: /context deadline exceeded/ },
  { name: "redirect_loop", served: hostile.redirectLoop, reason: "network", error: /redirects/ },
  { name: "not_found", served: { body: "no", status: 404 }, reason: "status", error: /404 Not Found/ },
  { name: "server_error", served: { body: "a 1\n", status: 503 }, reason: "status", error: /503/ },
  { name: "html", served: { body: "<html>", contentType: "text/html" }, reason: "content", error: /text\/html/ },
  {
    name: "not_http",
    served: hostile.rawAnswer("220 mail.example ESMTP\r\n"),
    reason: "network",
    error: /./,
  },
  {
    name: "more_than_sent",
    served: hostile.rawAnswer(`${hostile.headWithLength(1000)}sent 1\n`),
    reason: "network",
    error: /./,
  },
  {
    name: "less_than_sent",
    served: hostile.rawAnswer(`${hostile.headWithLength(10)}sent 1\nse{nt 2\n`),
    reason: "parse",
    error: /./,
    hasOffset: true,
  },
  {
    name: "not_gzip",
    served: { body: "a 1\n", headers: { "content-encoding": "gzip" } },
    reason: "decompress",
    error: /gzip|header/i,
  },
  { name: "invalid_utf8", served: { body: badUtf8 }, reason: "parse", error: /UTF-8/i, hasOffset: true },
  { name: "cut_line", served: { body: 'a 1\nb{l="x' }, reason: "parse", error: /./, hasOffset: true },
];

describe("bad input", () => {
  it("fails hostile targets alone, counted and logged, in bounded memory", { timeout: 90_000 }, async () => {
    using folder = createTempFolder("bad-input");
    await using sink = await RecordingSink.start();
    await using exporter = await PageExporter.start(intervalMs);
    for (const { name, served } of cases)
      exporter.add(name, typeof served === "function" ? () => served : () => served);
    exporter.add("duplicates", () => ({ body: "twice 1\nonce 3\ntwice 2\n" }));
    const healthy = Array.from({ length: healthyTargets }, (_, i) => `healthy_${i}`);
    for (const name of healthy) exporter.add(name, () => ({ body: `value 1\nof{target="${name}"} 2\n` }));
    const job = (name: string, keys: object = {}) => ({
      job_name: name,
      metrics_path: `/${name}`,
      ...keys,
      static_configs: [{ targets: [exporter.address] }],
    });
    const config = {
      global: { scrape_interval: "1s", scrape_timeout: "900ms" },
      remote_write: [{ url: sink.url("/write"), queue_config: { batch_send_deadline: "100ms" } }],
      scrape_configs: [
        ...cases.map(({ name, job: keys }) => job(name, keys)),
        ...[...healthy, "duplicates"].map((name) => job(name)),
      ],
    };
    await using agent = await startMillraceAgent(
      folder,
      folder.write("prometheus.yml", stringify(config)),
      "--scrape.max-body-size=32MiB",
      "--scrape.max-series=10000",
    );
    const path = sink.path("/write");
    let residentBytes = 0;
    await waitFor("all targets to be scraped often", () => {
      residentBytes = Math.max(residentBytes, agent.process.residentBytes());
      return [...healthy, ...cases.map(({ name }) => name)].every(
        (name) => (upOf(path, { job: name })?.samples.length ?? 0) >= scrapes,
      );
    });

    expect(agent.process.isRunning).toBe(true);
    expect(residentBytes).toBeLessThan(maxResidentBytes);
    expect(healthy.flatMap((name) => scrapeFaults(path, { job: name }, intervalMs))).toEqual([]);
    expect(path.faults).toEqual([]);
    const metrics = await readOwnMetrics(agent.url);
    const targets = await readTargets(agent.url);
    const shown = cases.map(({ name, reason, error, hasOffset = false }) => {
      const target = targets.find(({ scrapePool }) => scrapePool === name);
      const lines = agent.process.lines("Failed to scrape", `/${name} `);
      const logged = new RegExp(`reason="?${reason}"?${hasOffset ? " offset=\\d+" : ""} err="`);
      return {
        name,
        up: new Set(upValues(path, { job: name })),
        series: path.find({ job: name }).filter(({ samples }) => samples.some(({ bits }) => bits !== staleBits)).length,
        health: target?.health,
        lastError: error.test(target?.lastError ?? "") ? "as expected" : target?.lastError,
        logged: lines.some((line) => logged.test(line)) || lines,
        counted: metrics.sum("millrace_scrape_pages_failed_total", { reason }) >= scrapes,
      };
    });
    const expected = cases.map(({ name }) => ({
      name,
      up: new Set([0]),
      series: 5,
      health: "down",
      lastError: "as expected",
      logged: true,
      counted: true,
    }));
    expect(shown).toEqual(expected);
    expect(metrics.sum("prometheus_target_scrapes_exceeded_body_size_limit_total")).toBeGreaterThanOrEqual(scrapes);
    expect(metrics.sum("prometheus_target_scrapes_exceeded_sample_limit_total")).toBeGreaterThanOrEqual(scrapes);

    expect(scrapeFaults(path, { job: "duplicates" }, intervalMs)).toEqual([]);
    expect(new Set(path.values({ __name__: "twice" }))).toEqual(new Set([1]));
    expect(new Set(path.values({ __name__: "once" }))).toEqual(new Set([3]));
    expect(metrics.sum("prometheus_target_scrapes_sample_duplicate_timestamp_total")).toBeGreaterThanOrEqual(scrapes);
  });
});
