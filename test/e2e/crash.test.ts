/** Scraping with the queue on disk, killed again and again: every scrape that counted as taken arrives, in order. */

import { expect, it } from "vitest";
import { stringify } from "yaml";
import { CountingTargets } from "../kit/counting-targets.ts";
import { PageExporter } from "../kit/page-exporter.ts";
import { accept, RecordingSink } from "../kit/recording-sink.ts";
import { startMillraceAgent, startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder, type TempFolder } from "../kit/temp.ts";
import { waitFor, waitUntil } from "../kit/wait.ts";

/** More by hand: `npm run bench -- crash --way scrape --subject millrace --kills 2000`. */
const kills = Number(process.env["CRASH_KILLS"] ?? 20);
const maxShards = 4;
const maxSamplesPerSend = 30;
const seriesPerTarget = 6;

const global = { scrape_interval: "200ms", scrape_timeout: "200ms" };
const backoff = { min: "10ms", max: "50ms" };

/** `millrace agent`, and `millrace run` with the same samples read as OTLP points. */
const subjects = [
  {
    name: "agent",
    async start(folder: TempFolder, url: string, jobs: readonly object[]) {
      const queue = {
        batch_send_deadline: "20ms",
        min_backoff: backoff.min,
        max_backoff: backoff.max,
        max_shards: maxShards,
        max_samples_per_send: maxSamplesPerSend,
      };
      const entry = { url, queue_config: queue, metadata_config: { send: false } };
      const config = stringify({ global, remote_write: [entry], scrape_configs: jobs });
      const storage = `--storage.agent.path=${folder.file("data")}`;
      return (await startMillraceAgent(folder, folder.write("prometheus.yml", config), storage)).process;
    },
  },
  {
    name: "run",
    async start(folder: TempFolder, url: string, jobs: readonly object[]) {
      const config = stringify({
        extensions: { file_storage: { directory: folder.file("data"), create_directory: true } },
        receivers: { prometheus: { config: { global, scrape_configs: jobs } } },
        exporters: {
          prometheus_remote_write: {
            endpoint: url,
            target_info: { enabled: false },
            max_batch_size_bytes: 4000,
            max_batch_request_parallelism: maxShards,
            retry_on_failure: { initial_interval: backoff.min, max_interval: backoff.max },
            sending_queue: { storage: "file_storage" },
          },
        },
        service: {
          extensions: ["file_storage"],
          telemetry: { metrics: { level: "none" } },
          pipelines: { metrics: { receivers: ["prometheus"], exporters: ["prometheus_remote_write"] } },
        },
      });
      return await startMillraceRun(folder.write("run.yaml", config));
    },
  },
] as const;

it.each(subjects)(
  `$name loses nothing in ${kills} kills, keeps the order, repeats no more than was under way`,
  async ({ name: subject, start }) => {
    using folder = createTempFolder("crash");
    await using sink = await RecordingSink.start();
    await using exporter = await PageExporter.start(1000);
    const names = Array.from({ length: 20 }, (_, i) => `t${i}`);
    const targets = new CountingTargets(exporter, names);
    const path = sink.path("/write");
    let isDraining = false;
    // A third of the requests fail, and now and then the server is away.
    path.respond = ({ index }) => {
      const isDown = !isDraining && (Math.random() < 0.33 || index % 100 > 80);
      return isDown ? { kind: "reply", status: 503 } : accept;
    };
    const jobs = targets.jobs(exporter);
    /** Pages that were under way when the process died: their samples were not taken yet. */
    const excused = new Set<string>();
    for (let kill = 0; kill < kills; kill++) {
      await using millrace = await start(folder, sink.url("/write"), jobs);
      const before = names.map((name) => targets.served(name));
      await waitFor("some scrapes", () => names.every((name, i) => targets.served(name) > (before[i] ?? 0) + 1));
      await waitUntil(Date.now() + Math.random() * 300);
      process.kill(millrace.pid, "SIGKILL");
      await millrace.ended;
      // What it had asked for is still answered.
      await waitUntil(Date.now() + 100);
      for (const name of names) excused.add(`${name} ${targets.served(name)}`);
    }
    isDraining = true;
    await using millrace = await start(folder, sink.url("/write"), jobs);
    await waitFor("the last kill's backlog", () => names.every((name) => targets.served(name) > kills * 2 + 2));
    expect(await millrace.stop()).toEqual({ code: 0, signal: null });
    for (const name of names) excused.add(`${name} ${targets.served(name)}`);

    const lost = targets.lost(path).filter((one) => !excused.has(one));
    // On a busy machine a page may come too late: then `up` says that it was not taken.
    const late = path.values({ __name__: "up" }).filter((value) => value === 0).length;
    let repeated = 0;
    const misplaced: string[] = [];
    for (const name of names) {
      const arrived = targets.arrived(path, name);
      const first = arrived.filter((value, i) => arrived.indexOf(value) === i);
      repeated += arrived.length - first.length;
      for (const [i, value] of first.entries()) if (value < (first[i - 1] ?? 0)) misplaced.push(`${name} ${value}`);
    }
    const served = names.reduce((sum, name) => sum + targets.served(name), 0);
    process.stdout.write(
      `${subject}: ${kills} kills, ${served} pages of ${names.length} targets: ${lost.length} lost, ${misplaced.length} out of order, ${repeated} repeated\n`,
    );
    expect({ lost: lost.slice(late), misplaced, faults: path.faults }).toEqual({ lost: [], misplaced: [], faults: [] });
    expect(repeated).toBeLessThanOrEqual((kills * maxShards * maxSamplesPerSend) / seriesPerTarget);
  },
);
