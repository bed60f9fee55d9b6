/** Targets that count their scrapes and a remote-write sink that fails, for the crash runs. */

import { join } from "node:path";
import { CountingTargets } from "../../test/kit/counting-targets.ts";
import { PageExporter } from "../../test/kit/page-exporter.ts";
import { accept, RecordingSink } from "../../test/kit/recording-sink.ts";
import type { TempFolder } from "../../test/kit/temp.ts";
import { parseShape, rowOf } from "../scrape/rows.ts";
import type { Subject } from "../scrape/subjects.ts";
import type { Work } from "./round.ts";
import { addTallies, emptyTally, type Tally, tallySeries } from "./tally.ts";

const names = Array.from({ length: 20 }, (_, i) => `t${i}`);
const intervalMs = 200;

const queueConfig = {
  batch_send_deadline: "20ms",
  min_backoff: "10ms",
  max_backoff: "50ms",
  max_shards: 4,
  max_samples_per_send: 30,
};

/** A third of the requests fail, and a fifth of the time the server is away. */
export function isDown(index: number): boolean {
  return Math.random() < 0.33 || index % 100 > 80;
}

export async function scrapingWork(subject: Subject, folder: TempFolder): Promise<Work> {
  const sink = await RecordingSink.start();
  const exporter = await PageExporter.start(1000);
  const targets = new CountingTargets(exporter, names);
  const path = sink.path("/write");
  let isDraining = false;
  path.respond = ({ index }) => (!isDraining && isDown(index) ? { kind: "reply", status: 503 } : accept);
  const config = {
    global: { scrape_interval: `${intervalMs}ms`, scrape_timeout: `${intervalMs}ms` },
    scrape_configs: targets.jobs(exporter),
    ...(subject.name === "vmagent"
      ? {}
      : { remote_write: [{ url: sink.url("/write"), queue_config: queueConfig, metadata_config: { send: false } }] }),
  };
  const configFile = folder.write("config.yaml", JSON.stringify(config));
  const row = rowOf(parseShape("20x1"), "identity", "plain");
  const command = subject.command(row, folder.path, configFile, { ports: [], sink: sink.url("/write") });
  const disk = subject.name === "millrace" ? [`--storage.agent.path=${join(folder.path, "storage")}`] : [];
  let marked: number[] = [];
  let last: number[] | undefined;
  /** The page of each target that was under way at a kill: it had not been taken yet. */
  const excused = names.map(() => new Set<number>());
  const served = () => names.map((name) => targets.served(name));
  return {
    command: { ...command, argv: [...command.argv, ...disk] },
    hasWorked: () => served().every((count, i) => count > (marked[i] ?? 0) + 1),
    mark() {
      marked = served();
    },
    killed() {
      for (const [i, count] of served().entries()) excused[i]?.add(count);
      exporter.log.length = 0;
    },
    drain() {
      isDraining = true;
      last = served();
    },
    tally: () =>
      names
        .map((name, i): Tally => {
          const taken = new Set<number>();
          for (let n = 1; n <= (last?.[i] ?? 0); n++) if (excused[i]?.has(n) !== true) taken.add(n);
          return tallySeries(taken, targets.arrived(path, name));
        })
        .reduce(addTallies, emptyTally),
    async [Symbol.asyncDispose]() {
      await exporter.close();
      await sink.close();
    },
  };
}
