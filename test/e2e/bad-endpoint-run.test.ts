/** Remote-write servers and files that misbehave, behind `millrace run`. */

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { CountingTargets } from "../kit/counting-targets.ts";
import { readOwnMetrics } from "../kit/own-metrics.ts";
import { PageExporter } from "../kit/page-exporter.ts";
import { TestProcess } from "../kit/processes.ts";
import { accept, RecordingSink, type SinkAnswer, type SinkRequest } from "../kit/recording-sink.ts";
import { runConfig } from "../kit/run-file.ts";
import { millrace, startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const reply = (status: number, body = "", headers: Record<string, string> = {}): SinkAnswer => ({
  kind: "reply",
  status,
  body,
  headers,
});
const every =
  (n: number, answer: SinkAnswer) =>
  ({ index }: SinkRequest): SinkAnswer =>
    index % n === n - 1 ? answer : accept;

interface EndpointCase {
  readonly name: string;
  readonly respond: (request: SinkRequest) => SinkAnswer;
  readonly keys?: Readonly<Record<string, unknown>>;
  /** Reason under which samples are dropped, or `queue_full` where they are refused; nothing is lost when left out. */
  readonly drops?: string;
}

const fastRetries = { initial_interval: "10ms", max_interval: "100ms" };
const cases: readonly EndpointCase[] = [
  { name: "fine", respond: () => accept },
  { name: "nonsense", respond: () => reply(200, "<html> nonsense") },
  { name: "hangs", respond: every(7, { kind: "hang" }), keys: { timeout: "300ms" } },
  { name: "closes", respond: every(5, { kind: "reset" }) },
  { name: "fails_first", respond: ({ index }) => (index < 5 ? reply(500) : accept) },
  { name: "refuses_every_tenth", respond: every(10, reply(400, "poisoned")), drops: "rejected" },
  { name: "throttles", respond: ({ index }) => (index === 3 ? reply(429, "", { "retry-after": "1" }) : accept) },
  {
    name: "fails_for_ever",
    respond: () => reply(500),
    keys: { retry_on_failure: { ...fastRetries, max_elapsed_time: "300ms" } },
    drops: "expired",
  },
  {
    name: "never_answers",
    respond: () => ({ kind: "hang" }),
    keys: { remote_write_queue: { queue_size: 2 }, timeout: "1m" },
    drops: "queue_full",
  },
];

describe("bad endpoint of a run", () => {
  it("loses only what a server refuses or the bounds drop, counted by exporter and reason", async () => {
    using folder = createTempFolder("bad-endpoint-run");
    await using sink = await RecordingSink.start();
    await using exporter = await PageExporter.start(1000);
    const targets = new CountingTargets(exporter, ["a", "b", "c", "d"]);
    const exporters: Record<string, unknown> = {};
    for (const { name, respond, keys } of cases) {
      sink.path(`/${name}`).respond = respond;
      exporters[`prometheus_remote_write/${name}`] = {
        endpoint: sink.url(`/${name}`),
        retry_on_failure: fastRetries,
        ...keys,
      };
    }
    const global = { scrape_interval: "500ms", scrape_timeout: "500ms" };
    const file = folder.write("config.yaml", runConfig({ global, jobs: targets.jobs(exporter), exporters }));
    await using run = await startMillraceRun(file, "--shutdown-timeout", "3s");
    const url = (await run.waitForOutput(/"url":\s*"(http[^"]+)\/metrics"/))[1] ?? "";
    // What a full queue refuses is not dropped by the exporter: the receiver is told.
    const dropped = (name: string, reason: string, metrics: Awaited<ReturnType<typeof readOwnMetrics>>) =>
      metrics.sum(
        reason === "queue_full"
          ? "otelcol_exporter_enqueue_failed_metric_points"
          : "exporter_prometheus_remote_write_dropped_samples_total",
        { exporter: `prometheus_remote_write/${name}`, ...(reason === "queue_full" ? {} : { reason }) },
      );
    await waitFor("every server to have misbehaved", async () => {
      const metrics = await readOwnMetrics(url);
      return (
        targets.allServed(10) &&
        cases.every(({ name, drops }) => drops === undefined || dropped(name, drops, metrics) > 0)
      );
    });
    const metrics = await readOwnMetrics(url);
    for (const { name, drops } of cases) {
      for (const reason of ["rejected", "expired", "queue_full", "shutdown"]) {
        expect({ name, reason, dropped: dropped(name, reason, metrics) > 0 }).toEqual({
          name,
          reason,
          dropped: reason === drops,
        });
      }
    }
    expect(await run.stop()).toEqual({ code: 0, signal: null });
    for (const { name, drops } of cases) {
      const path = sink.path(`/${name}`);
      expect({ name, faults: path.faults, misplaced: targets.misplaced(path) }).toEqual({
        name,
        faults: [],
        misplaced: [],
      });
      if (drops === undefined) expect({ name, lost: targets.lost(path) }).toEqual({ name, lost: [] });
    }
    const poisoned = sink.path("/refuses_every_tenth");
    const refused = poisoned.requests.filter(({ answer }) => answer !== accept);
    expect(targets.lost(poisoned)).toHaveLength(refused.reduce((sum, one) => sum + countingSamples(one), 0));
  });
});

describe("what a run cannot have", () => {
  /** Ends by itself; resolves with its code and what it said. */
  async function startFailing(...args: string[]) {
    await using run = new TestProcess(millrace("millrace", ...args));
    const { code } = await run.ended;
    return { code, output: run.output };
  }

  it("names the key of a port that is in use", async () => {
    using folder = createTempFolder("port");
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const port = (server.address() as { port: number }).port;
      const health = folder.write(
        "health.yaml",
        runConfig({ exporters: { debug: {} }, extensions: { health_check: { endpoint: `127.0.0.1:${port}` } } }),
      );
      const metrics = folder.write("metrics.yaml", runConfig({ exporters: { debug: {} }, metricsPort: port }));
      const agent = folder.write("prometheus.yml", "scrape_configs: []\n");
      expect(await startFailing("run", "--config", health)).toEqual({
        code: 1,
        output: expect.stringMatching(/extensions::health_check::endpoint: .*address already in use/i),
      });
      expect(await startFailing("run", "--config", metrics)).toEqual({
        code: 1,
        output: expect.stringMatching(
          /service::telemetry::metrics::readers\[0\]::pull::exporter::prometheus::port: .*address already in use.*metrics\.yaml:\d+:\d+/i,
        ),
      });
      expect(await startFailing("agent", "--config.file", agent, "--web.listen-address", `127.0.0.1:${port}`)).toEqual({
        code: 1,
        output: expect.stringMatching(/--web\.listen-address: .*address already in use/i),
      });
    } finally {
      server.close();
    }
  });

  it("names the key of a certificate that cannot be read", async () => {
    using folder = createTempFolder("certificate");
    const absent = folder.file("absent.pem");
    const broken = folder.write("broken.pem", "no certificate");
    const endpoint = "https://127.0.0.1:1/write";
    const results = [];
    for (const tls of [{ ca_file: absent }, { ca_file: broken }, { cert_file: absent, key_file: absent }]) {
      const file = folder.write(
        "config.yaml",
        runConfig({ exporters: { prometheus_remote_write: { endpoint, tls } } }),
      );
      results.push(await startFailing("run", "--config", file));
    }
    const config = { remote_write: [{ url: endpoint, tls_config: { ca_file: absent } }] };
    const agent = folder.write("prometheus.yml", stringify(config));
    results.push(await startFailing("agent", "--config.file", agent, "--web.listen-address=127.0.0.1:0"));
    const scrape = { job_name: "a", tls_config: { cert_file: absent, key_file: absent } };
    const scrapes = folder.write("scrape.yaml", runConfig({ jobs: [scrape], exporters: { debug: {} } }));
    results.push(await startFailing("run", "--config", scrapes));
    const key = "exporters::prometheus_remote_write::tls::";
    expect(results).toEqual(
      [
        `${key}ca_file`,
        `${key}ca_file`,
        `${key}cert_file`,
        "remote_write[0]::tls_config::ca_file",
        "receivers::prometheus::config::scrape_configs[0]::tls_config::key_file",
      ].map((path) => ({ code: 1, output: expect.stringContaining(path) })),
    );
  });

  it("names the key of a directory that is not there", async () => {
    using folder = createTempFolder("unwritable");
    const path = folder.file("absent/out.json");
    const file = folder.write("config.yaml", runConfig({ exporters: { file: { path } } }));
    expect(await startFailing("run", "--config", file)).toEqual({
      code: 1,
      output: expect.stringMatching(/exporters::file::path: .*no such file or directory.*config\.yaml:\d+:\d+/),
    });
  });

  const cannotMount = whyNoMounts();
  it.skipIf(cannotMount !== undefined)(
    `says that the disk of a file is full, keeps whole lines, and goes on${cannotMount === undefined ? "" : ` (skipped: ${cannotMount})`}`,
    async () => {
      using folder = createTempFolder("full");
      await using exporter = await PageExporter.start(1000);
      const targets = new CountingTargets(exporter, ["a"]);
      const disk = folder.file("disk");
      mkdirSync(disk);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]);
      try {
        const global = { scrape_interval: "100ms", scrape_timeout: "100ms" };
        const exporters = {
          "file/full": { path: `${disk}/out.json` },
          "file/other": { path: folder.file("other.json") },
        };
        const file = folder.write("config.yaml", runConfig({ global, jobs: targets.jobs(exporter), exporters }));
        await using run = await startMillraceRun(file);
        await run.waitForOutput(/exporters::file\/full::path: cannot write/);
        const url = /"url":\s*"(http[^"]+)\/metrics"/.exec(run.output)?.[1] ?? "";
        const refused = (await readOwnMetrics(url)).sum("otelcol_exporter_send_failed_metric_points", {
          exporter: "file/full",
        });
        const served = targets.served("a");
        await waitFor("more scrapes", () => targets.served("a") > served + 5);
        expect(refused).toBeGreaterThan(0);
        expect(run.isRunning).toBe(true);
        expect(await run.stop()).toEqual({ code: 0, signal: null });
        for (const name of [`${disk}/out.json`, folder.file("other.json")]) {
          const lines = readFileSync(name, "utf8").trimEnd().split("\n");
          for (const line of lines) expect(() => JSON.parse(line)).not.toThrow();
        }
        const arrived = readFileSync(folder.file("other.json"), "utf8").trimEnd().split("\n").length;
        expect(arrived).toBeGreaterThanOrEqual(targets.served("a"));
      } finally {
        execFileSync("umount", [disk]);
      }
    },
  );
});

function countingSamples({ message }: SinkRequest): number {
  return message.series
    .filter(({ labels }) => labels.some(({ name }) => name === "counting"))
    .reduce((sum, { samples }) => sum + samples.length, 0);
}

/** Why a small disk cannot be had here, or undefined. */
function whyNoMounts(): string | undefined {
  if (process.getuid?.() !== 0) return "only root can mount a small disk";
  using folder = createTempFolder("mount");
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder.path], { stdio: "pipe" });
    execFileSync("umount", [folder.path], { stdio: "pipe" });
    return undefined;
  } catch {
    return "this machine does not mount";
  }
}
