/** Targets that count their scrapes and a remote-write sink that fails, for the crash runs. */

import { join } from "node:path";
import { CountingTargets } from "../../test/kit/counting-targets.ts";
import { PageExporter } from "../../test/kit/page-exporter.ts";
import { accept, numberOf, RecordingSink, type SinkPath, type SinkRequest } from "../../test/kit/recording-sink.ts";
import { staleBits } from "../../test/kit/remote-write-message.ts";
import type { TempFolder } from "../../test/kit/temp.ts";
import { parseShape, rowOf } from "../scrape/rows.ts";
import type { Subject } from "../scrape/subjects.ts";
import type { Work } from "./round.ts";
import { takenPages } from "./taken-pages.ts";
import { addTallies, emptyTally, type Tally, tallySeries } from "./tally.ts";
import { type TakenRequest, UnderWay } from "./under-way.ts";

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

/** Times of the scrapes that failed, as `up` says. */
function failedMs(path: SinkPath, name: string): Set<number> {
  const samples = path.find({ __name__: "up", job: name }).flatMap((series) => series.samples);
  return new Set(samples.filter(({ bits }) => numberOf(bits) === 0).map(({ timestampMs }) => timestampMs));
}

/** The time of each page that arrived. */
function arrivedMs(path: SinkPath, name: string): Map<number, number> {
  const samples = path.find({ __name__: "scrapes", counting: name }).flatMap((series) => series.samples);
  const values = samples.filter(({ bits }) => bits !== staleBits);
  return new Map(values.map(({ bits, timestampMs }) => [numberOf(bits), timestampMs]));
}

/** The numbers of the pages of which a request has the sample, by target. */
function pagesIn({ message }: SinkRequest): TakenRequest {
  const taken = new Map<number, number[]>();
  for (const { labels, samples } of message.series) {
    const target = labels.find(({ name }) => name === "counting")?.value;
    if (target === undefined) continue;
    const pages = samples.filter(({ bits }) => bits !== staleBits).map(({ bits }) => numberOf(bits));
    const index = names.indexOf(target);
    taken.set(index, [...(taken.get(index) ?? []), ...pages]);
  }
  return taken;
}

export async function scrapingWork(subject: Subject, folder: TempFolder): Promise<Work> {
  const sink = await RecordingSink.start();
  const exporter = await PageExporter.start(1000);
  const targets = new CountingTargets(exporter, names);
  const path = sink.path("/write");
  let isDraining = false;
  const underWay = new UnderWay(queueConfig.max_shards);
  path.respond = (request) => {
    if (!isDraining && isDown(request.index)) return { kind: "reply", status: 503 };
    underWay.took(pagesIn(request));
    return accept;
  };
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
  /** When each page of a target was served, and when the program was killed. */
  const servedMs = new Map<string, number[]>(names.map((name) => [name, []]));
  const killedMs: number[] = [];
  const readLog = () => {
    for (const { target, arrivedMs } of exporter.log) servedMs.get(target)?.push(arrivedMs);
    exporter.log.length = 0;
  };
  const served = () => names.map((name) => targets.served(name));
  return {
    command: { ...command, argv: [...command.argv, ...disk] },
    hasWorked: () => served().every((count, i) => count > (marked[i] ?? 0) + 1),
    mark() {
      marked = served();
    },
    killed() {
      for (const [i, count] of served().entries()) excused[i]?.add(count);
      readLog();
      killedMs.push(Date.now());
      underWay.killed();
    },
    drain() {
      isDraining = true;
      last = served();
    },
    tally: () =>
      names
        .map((name, i): Tally => {
          const times = servedMs.get(name) ?? [];
          const taken = takenPages({
            served: last?.[i] ?? 0,
            excused: excused[i] ?? new Set(),
            arrivedMs: arrivedMs(path, name),
            failedMs: failedMs(path, name),
          });
          const describe = (n: number) => {
            const atMs = times[n - 1] ?? 0;
            const killMs = killedMs.find((timeMs) => timeMs >= atMs) ?? Number.NaN;
            return `${name} ${n}: ${(times[n] ?? 0) - atMs} ms before the next page, ${killMs - atMs} ms before a kill`;
          };
          return tallySeries({
            taken,
            arrived: targets.arrived(path, name),
            underWay: underWay.of(i),
            describe,
          });
        })
        .reduce(addTallies, emptyTally),
    async [Symbol.asyncDispose]() {
      await exporter.close();
      await sink.close();
    },
  };
}
