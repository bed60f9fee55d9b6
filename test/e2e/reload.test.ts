/** SIGHUP and SIGTERM: what did not change goes on undisturbed, what was taken is delivered, a bad file changes nothing. */

import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { CountingTargets } from "../kit/counting-targets.ts";
import { readOwnMetrics } from "../kit/own-metrics.ts";
import { PageExporter } from "../kit/page-exporter.ts";
import type { TestProcess } from "../kit/processes.ts";
import { numberOf, RecordingSink, type SinkPath } from "../kit/recording-sink.ts";
import { staleBits } from "../kit/remote-write-message.ts";
import { runConfig } from "../kit/run-file.ts";
import { scrapeFaults } from "../kit/scrape-gaps.ts";
import { startMillraceAgent, startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const intervalMs = 500;
const global = { scrape_interval: "500ms", scrape_timeout: "500ms" };
const fastQueue = { batch_send_deadline: "20ms", min_backoff: "10ms", max_backoff: "100ms" };
const unchanged = ["same_0", "same_1", "same_2"];
const readyInTime = "prometheus_config_last_reload_successful";
/** Scrapes that are enough for markers of what is gone: they come 2.1 intervals later. */
const enoughForMarkers = 5;

type Job = Readonly<Record<string, unknown>> & { readonly job_name: string };

/** Keys of the series at the sink that ended with a stale marker. */
function ended(sink: SinkPath, labels: Readonly<Record<string, string>>): string[] {
  return sink
    .find(labels)
    .filter(({ samples }) => samples.some(({ bits }) => bits === staleBits))
    .map((series) => `${series.labels.get("__name__")} ${series.labels.get("half") ?? ""}`.trim())
    .sort();
}

/** Values of `scrape_series_added` of the job: above 0 where the caches were empty. */
function seriesAdded(sink: SinkPath, job: string): number[] {
  return sink
    .find({ __name__: "scrape_series_added", job })
    .flatMap(({ samples }) => samples.map(({ bits }) => numberOf(bits)));
}

async function reload(process: TestProcess, done: RegExp): Promise<void> {
  const count = () => process.output.match(new RegExp(done, "g"))?.length ?? 0;
  const before = count();
  process.signal("SIGHUP");
  await waitFor(`${process.title} to log ${done}`, () => count() > before);
}

/** A world of targets that both commands scrape, before and after the change. */
async function startTargets() {
  const exporter = await PageExporter.start(1000);
  const targets = new CountingTargets(exporter, [...unchanged, "interval", "removed", "added"]);
  exporter.add("edited", () => ({ body: 'halves{half="a"} 1\nhalves{half="b"} 2\n' }));
  exporter.add("hung", () => () => undefined);
  const jobs = new Map<string, Job>(targets.jobs(exporter).map((job) => [job.job_name, job]));
  const job = (name: string, keys: object = {}): Job => ({
    ...(jobs.get(name) ?? {
      job_name: name,
      metrics_path: `/${name}`,
      static_configs: [{ targets: [exporter.address] }],
    }),
    ...keys,
  });
  const hung = job("hung", { scrape_interval: "4s", scrape_timeout: "4s" });
  const before = [...unchanged.map((name) => job(name)), job("interval"), job("edited"), job("removed"), hung];
  const drop = { source_labels: ["half"], regex: "b", action: "drop" };
  const after = [
    ...unchanged.map((name) => job(name)),
    job("interval", { scrape_interval: "400ms", scrape_timeout: "400ms" }),
    job("edited", { metric_relabel_configs: [drop] }),
    job("added"),
    hung,
  ];
  return { exporter, targets, before, after };
}

/** What must hold at a sink that was there before and after the change. */
function expectChange(sink: SinkPath, targets: CountingTargets): void {
  for (const job of [...unchanged, "interval", "added"]) {
    expect(scrapeFaults(sink, { job }, intervalMs)).toEqual([]);
  }
  // A job that changed begins anew, and the one scrape that falls on the reload itself may be left out.
  expect(scrapeFaults(sink, { job: "edited" }, intervalMs * 1.5)).toEqual([]);
  expect(targets.lost(sink)).toEqual([]);
  expect(targets.misplaced(sink)).toEqual([]);
  expect(sink.faults).toEqual([]);
  expect([...unchanged, "interval", "added", "removed"].flatMap((job) => ended(sink, { job }))).toEqual([]);
  expect(ended(sink, { job: "edited" })).toEqual(["halves b"]);
  const caches = (job: string) => seriesAdded(sink, job).filter((count) => count > 0).length;
  expect([...unchanged, "interval", "edited", "added"].map(caches)).toEqual([1, 1, 1, 1, 2, 1]);
}

describe("reload of an agent", () => {
  it("leaves unchanged jobs and queues alone, and empties the queue of a changed entry", async () => {
    using folder = createTempFolder("reload-agent");
    await using sink = await RecordingSink.start();
    const { exporter, targets, before, after } = await startTargets();
    await using _exporter = exporter;
    const [kept, old, fresh, late] = ["/kept", "/old", "/fresh", "/late"].map((path) => sink.path(path)) as [
      SinkPath,
      SinkPath,
      SinkPath,
      SinkPath,
    ];
    late.respond = () => ({ kind: "reply", status: 204, afterMs: 700 });
    const entry = (path: string, queue: object = fastQueue) => ({
      url: sink.url(path),
      queue_config: queue,
      metadata_config: { send: false },
    });
    const write = (scrape_configs: readonly Job[], remote_write: readonly object[]) =>
      folder.write("prometheus.yml", stringify({ global, remote_write, scrape_configs }));
    // What waits for its deadline when the entry goes must leave at once then.
    const waiting = { ...fastQueue, batch_send_deadline: "1m" };
    const file = write(before, [entry("/kept"), entry("/late"), entry("/old", waiting)]);
    await using agent = await startMillraceAgent(folder, file);
    await waitFor("some scrapes", () => targets.served("removed") >= 4 && targets.served("same_0") >= 4);

    write(after, [entry("/fresh"), entry("/kept"), entry("/late")]);
    await reload(agent.process, /Completed loading of configuration file/);
    const removed = targets.served("removed");
    await waitFor("what the old queue held", () => targets.arrived(old, "same_0").length >= 4);
    // An unchanged file changes nothing, whenever it is read.
    for (let i = 0; i < 3; i++) await reload(agent.process, /Completed loading of configuration file/);
    const served = targets.served("added");
    await waitFor("scrapes afterwards", () => targets.served("added") >= served + enoughForMarkers + 2);
    expect((await readOwnMetrics(agent.url)).sum(readyInTime)).toBe(1);
    expect(await agent.process.stop()).toEqual({ code: 0, signal: null });

    expect(targets.served("removed")).toBe(removed);
    expectChange(kept, targets);
    expect(targets.lost(late)).toEqual([]);
    expect(targets.misplaced(late)).toEqual([]);
    const inNeither = targets.lost(old).filter((one) => targets.lost(fresh).includes(one));
    expect(inNeither).toEqual([]);
    for (const name of unchanged) {
      const [last = 0, next = 0] = [targets.arrived(old, name).at(-1), targets.arrived(fresh, name)[0]];
      expect(next).toBe(last + 1);
    }
  });

  it("refuses a bad file with all its errors and goes on with the old one", async () => {
    using folder = createTempFolder("reload-bad");
    await using sink = await RecordingSink.start();
    const { exporter, targets, before } = await startTargets();
    await using _exporter = exporter;
    const remote_write = [{ url: sink.url("/write"), queue_config: fastQueue }];
    const good = stringify({ global, remote_write, scrape_configs: before });
    const file = folder.write("prometheus.yml", good);
    await using agent = await startMillraceAgent(folder, file, "--web.enable-lifecycle");
    const post = async (method = "POST") => (await fetch(`${agent.url}/-/reload`, { method })).status;
    const successful = async () => (await readOwnMetrics(agent.url)).sum(readyInTime);
    await waitFor("some scrapes", () => targets.served("same_0") >= 3);

    folder.write("prometheus.yml", "scrape_configs:\n- job_name: a\n  scrape_intervall: 1s\n  honor_label: true\n");
    await reload(agent.process, /Error reloading config/);
    const [line = ""] = agent.process.lines("Error reloading config");
    expect(line).toMatch(/scrape_intervall.*scrape_interval.*prometheus\.yml:3:3/);
    expect(line).toMatch(/honor_label.*honor_labels.*prometheus\.yml:4:3/);
    expect(await successful()).toBe(0);
    expect(await post()).toBe(500);
    expect(await post("GET")).toBe(405);
    const served = targets.served("same_0");
    await waitFor("scrapes with the old file", () => targets.served("same_0") >= served + enoughForMarkers);

    const unreadable = { ...remote_write[0], url: "https://127.0.0.1:1/", tls_config: { ca_file: "absent.pem" } };
    folder.write("prometheus.yml", stringify({ global, remote_write: [unreadable], scrape_configs: [] }));
    expect(await post()).toBe(500);
    expect(agent.process.lines("Error reloading config", "remote_write[0]::tls_config::ca_file").length).toBe(1);
    folder.write("prometheus.yml", good);
    expect(await post("PUT")).toBe(200);
    expect(await successful()).toBe(1);
    expect(await agent.process.stop()).toEqual({ code: 0, signal: null });
    expect(unchanged.flatMap((job) => scrapeFaults(sink.path("/write"), { job }, intervalMs))).toEqual([]);
    expect(targets.lost(sink.path("/write"))).toEqual([]);
  });

  it("does not reload over HTTP unless told to", async () => {
    using folder = createTempFolder("reload-http");
    await using agent = await startMillraceAgent(folder, folder.write("prometheus.yml", "scrape_configs: []\n"));
    for (const path of ["/-/reload", "/-/quit"]) {
      expect((await fetch(`${agent.url}${path}`, { method: "POST" })).status).toBe(403);
    }
  });
});

describe("end of an agent", () => {
  it("delivers what was scraped before SIGTERM, without markers, within seconds", async () => {
    using folder = createTempFolder("end-agent");
    await using sink = await RecordingSink.start();
    const { exporter, targets, before } = await startTargets();
    await using _exporter = exporter;
    const waiting = { batch_send_deadline: "1m" };
    const remote_write = [{ url: sink.url("/write"), queue_config: waiting }];
    const scrape_configs = before.filter(({ job_name }) => job_name !== "hung");
    const file = folder.write("prometheus.yml", stringify({ global, remote_write, scrape_configs }));
    await using agent = await startMillraceAgent(folder, file);
    await waitFor("some scrapes", () => targets.served("same_0") >= 4);
    expect(sink.path("/write").acceptedSamples).toBe(0);
    const start = performance.now();
    expect(await agent.process.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - start).toBeLessThan(5000);
    expect(targets.lost(sink.path("/write"))).toEqual([]);
    expect(ended(sink.path("/write"), {})).toEqual([]);
  });

  it("leaves at the flush deadline when the server is dead, and counts what it loses", async () => {
    using folder = createTempFolder("end-dead");
    await using sink = await RecordingSink.start();
    sink.path("/write").respond = () => ({ kind: "hang" });
    const { exporter, targets, before } = await startTargets();
    await using _exporter = exporter;
    const remote_write = [{ url: sink.url("/write"), queue_config: fastQueue }];
    const file = folder.write("prometheus.yml", stringify({ global, remote_write, scrape_configs: before }));
    await using agent = await startMillraceAgent(folder, file, "--storage.remote.flush-deadline=300ms");
    await waitFor("some scrapes", () => targets.served("same_0") >= 2);
    const start = performance.now();
    expect(await agent.process.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - start).toBeLessThan(5000);
    expect(agent.process.lines("samples dropped", "reason=shutdown").length).toBeGreaterThan(0);
  });
});

describe("reload of a run", () => {
  it("leaves what did not change alone while jobs, processors and exporters change", async () => {
    using folder = createTempFolder("reload-run");
    await using sink = await RecordingSink.start();
    const { exporter, targets, before, after } = await startTargets();
    await using _exporter = exporter;
    const kept = sink.path("/kept");
    const exporterTo = (path: string, keys: object = {}) => ({ endpoint: sink.url(path), ...keys });
    const added = (value: string) => ({ attributes: { actions: [{ key: "reload", value, action: "insert" }] } });
    const write = (jobs: readonly Job[], exporters: Record<string, object>, processors = {}) =>
      folder.write("config.yaml", runConfig({ global, jobs, exporters, processors }));
    const file = write(before, {
      "prometheus_remote_write/kept": exporterTo("/kept"),
      "prometheus_remote_write/changed": exporterTo("/changed"),
      "prometheus_remote_write/gone": exporterTo("/gone"),
    });
    await using run = await startMillraceRun(file, "--shutdown-timeout", "5s");
    await waitFor("some scrapes", () => targets.served("removed") >= 4 && targets.served("same_0") >= 4);

    write(after, {
      "prometheus_remote_write/kept": exporterTo("/kept"),
      "prometheus_remote_write/changed": exporterTo("/changed", { headers: { "X-New": "1" } }),
      "prometheus_remote_write/new": exporterTo("/new"),
    });
    await reload(run, /Configuration reloaded/);
    const removed = targets.served("removed");
    const served = targets.served("added");
    await waitFor("scrapes afterwards", () => targets.served("added") >= served + enoughForMarkers + 2);

    folder.write("config.yaml", `${runConfig({ exporters: { debug: {} } })}\nprocesors: {}\nservise: {}\n`);
    await reload(run, /The new configuration is refused, the old one goes on/);
    const [refusal = ""] = run.lines("The new configuration is refused");
    expect(refusal).toMatch(/procesors: unknown key.*processors.*config\.yaml:\d+:\d+/);
    expect(refusal).toMatch(/servise: unknown key.*service/);
    const servedLater = targets.served("added");
    await waitFor("scrapes with the old file", () => targets.served("added") >= servedLater + 2);

    const exporters = { "prometheus_remote_write/kept": exporterTo("/kept") };
    write(after, exporters, added("yes"));
    await reload(run, /Configuration reloaded/);
    await kept.waitForSample({ __name__: "scrapes", reload: "yes" });
    expect(await run.stop()).toEqual({ code: 0, signal: null });

    expect(targets.served("removed")).toBe(removed);
    expect(kept.faults).toEqual([]);
    expect(targets.lost(kept)).toEqual([]);
    // The last reload took these two away, so that each of them ends with what came before it.
    const changed = sink.path("/changed");
    expect(targets.misplaced(changed)).toEqual([]);
    const [gone, fresh] = [targets.lost(sink.path("/gone")), targets.lost(sink.path("/new"))];
    expect(gone.filter((one) => fresh.includes(one) && !targets.lost(changed).includes(one))).toEqual([]);
    for (const job of unchanged) expect(ended(kept, { job })).toEqual([]);
    expect(ended(kept, { job: "removed" })).toEqual([]);
    expect(ended(kept, { job: "edited" })).toEqual(["halves b"]);
  });
});
