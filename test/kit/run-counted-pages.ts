/** Targets with many series whose value is the number of the scrape, and the configurations that scrape them. */

import { stringify } from "yaml";
import type { PageExporter } from "./page-exporter.ts";
import { startMillraceAgent, startMillraceRun } from "./subjects.ts";
import type { TempFolder } from "./temp.ts";

/** Interval of all scrapes. */
export const countedIntervalMs = 500;

/** Serves `counted{series="<i>"} <n>` and, on every third scrape only, `sometimes <n>`; n rises from 0. */
export class CountedPages {
  readonly names: readonly string[];
  readonly seriesPerTarget: number;
  readonly #exporter: PageExporter;
  readonly #served = new Map<string, number>();

  constructor(exporter: PageExporter, targets: number, seriesPerTarget: number, prefix = "t") {
    this.#exporter = exporter;
    this.seriesPerTarget = seriesPerTarget;
    this.names = Array.from({ length: targets }, (_, i) => `${prefix}${i}`);
    for (const name of this.names) exporter.add(name, () => ({ body: this.#page(name), gzip: true }));
  }

  #page(name: string): string {
    const count = this.served(name);
    this.#served.set(name, count + 1);
    const lines = Array.from({ length: this.seriesPerTarget }, (_, i) => `counted{series="${i}"} ${count}`);
    if (count % 3 === 0) lines.push(`sometimes ${count}`);
    return `${lines.join("\n")}\n`;
  }

  /** Pages of the target so far. */
  served(name: string): number {
    return this.#served.get(name) ?? 0;
  }

  /** Samples of the pages so far. */
  servedSamples(): number {
    return this.names.reduce(
      (sum, name) => sum + this.served(name) * this.seriesPerTarget + Math.ceil(this.served(name) / 3),
      0,
    );
  }

  /** A job per target, named like it. */
  jobs(): object[] {
    return this.names.map((name) => ({
      job_name: name,
      metrics_path: `/${name}`,
      static_configs: [{ targets: [this.#exporter.address] }],
    }));
  }
}

/** A command of Millrace that scrapes and writes. */
export interface CountedSubject {
  readonly name: "agent" | "run";
  /** Whether the command sets `up` and the like under the metric names of the pages. */
  start(
    folder: TempFolder,
    jobs: readonly object[],
    url: string,
  ): Promise<{ stop(): Promise<unknown> } & AsyncDisposable>;
}

const interval = `${countedIntervalMs}ms`;
const global = { scrape_interval: interval, scrape_timeout: interval };

/** `millrace agent` and `millrace run`, both with several requests under way. */
export const countedSubjects: readonly CountedSubject[] = [
  {
    name: "agent",
    async start(folder, jobs, url) {
      const queue = {
        batch_send_deadline: "100ms",
        max_samples_per_send: 300,
        min_shards: 3,
        min_backoff: "20ms",
        max_backoff: "500ms",
      };
      const config = { global, remote_write: [{ url, queue_config: queue }], scrape_configs: jobs };
      const agent = await startMillraceAgent(folder, folder.write("agent.yml", stringify(config)));
      return { stop: () => agent.process.stop(), [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose]() };
    },
  },
  {
    name: "run",
    async start(folder, jobs, url) {
      const exporter = {
        endpoint: url,
        max_batch_size_bytes: 30_000,
        retry_on_failure: { max_interval: "500ms" },
        remote_write_queue: { num_consumers: 3 },
      };
      const config = {
        receivers: { prometheus: { config: { global, scrape_configs: jobs } } },
        processors: { batch: { timeout: "100ms" } },
        exporters: { prometheus_remote_write: exporter },
        service: {
          telemetry: { metrics: { level: "none" } },
          pipelines: {
            metrics: { receivers: ["prometheus"], processors: ["batch"], exporters: ["prometheus_remote_write"] },
          },
        },
      };
      return startMillraceRun(folder.write("run.yaml", stringify(config)));
    },
  },
];
