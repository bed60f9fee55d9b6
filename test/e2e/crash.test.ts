/** `millrace agent` with its queue on disk, killed again and again: every scrape that counted as taken arrives, in order. */

import { expect, it } from "vitest";
import { stringify } from "yaml";
import { CountingTargets } from "../kit/counting-targets.ts";
import { PageExporter } from "../kit/page-exporter.ts";
import { accept, RecordingSink } from "../kit/recording-sink.ts";
import { startMillraceAgent } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor, waitUntil } from "../kit/wait.ts";

/** More by hand: `npm run bench -- crash --way scrape --subject millrace --kills 2000`. */
const kills = Number(process.env["CRASH_KILLS"] ?? 20);
const maxShards = 4;
const maxSamplesPerSend = 30;
const seriesPerTarget = 6;

it(`loses nothing in ${kills} kills, keeps the order, repeats no more than was under way`, async () => {
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
  const config = folder.write(
    "prometheus.yml",
    stringify({
      global: { scrape_interval: "200ms", scrape_timeout: "200ms" },
      remote_write: [
        {
          url: sink.url("/write"),
          queue_config: {
            batch_send_deadline: "20ms",
            min_backoff: "10ms",
            max_backoff: "50ms",
            max_shards: maxShards,
            max_samples_per_send: maxSamplesPerSend,
          },
          metadata_config: { send: false },
        },
      ],
      scrape_configs: targets.jobs(exporter),
    }),
  );
  const storage = `--storage.agent.path=${folder.file("data")}`;
  /** Pages that were under way when the process died: their samples were not taken yet. */
  const excused = new Set<string>();
  for (let kill = 0; kill < kills; kill++) {
    await using agent = await startMillraceAgent(folder, config, storage);
    const before = names.map((name) => targets.served(name));
    await waitFor("some scrapes", () => names.every((name, i) => targets.served(name) > (before[i] ?? 0) + 1));
    await waitUntil(Date.now() + Math.random() * 300);
    process.kill(agent.process.pid, "SIGKILL");
    await agent.process.ended;
    // What it had asked for is still answered.
    await waitUntil(Date.now() + 100);
    for (const name of names) excused.add(`${name} ${targets.served(name)}`);
  }
  isDraining = true;
  await using agent = await startMillraceAgent(folder, config, storage);
  await waitFor("the last kill's backlog", () => names.every((name) => targets.served(name) > kills * 2 + 2));
  expect(await agent.process.stop()).toEqual({ code: 0, signal: null });
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
    `${kills} kills, ${served} pages of ${names.length} targets: ${lost.length} lost, ${misplaced.length} out of order, ${repeated} repeated\n`,
  );
  expect({ lost: lost.slice(late), misplaced, faults: path.faults }).toEqual({ lost: [], misplaced: [], faults: [] });
  expect(repeated).toBeLessThanOrEqual((kills * maxShards * maxSamplesPerSend) / seriesPerTarget);
});
