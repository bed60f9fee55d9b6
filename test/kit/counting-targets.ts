/** Targets whose pages count their scrapes, so that each lost, repeated or misplaced one is seen behind the pipeline. */

import type { PageExporter } from "./page-exporter.ts";
import { numberOf, type SinkPath } from "./recording-sink.ts";
import { staleBits } from "./remote-write-message.ts";

/** Serves `scrapes{counting="<name>"} <n>` on the page of each name, n rising from 1 with each request. */
export class CountingTargets {
  readonly names: readonly string[];
  readonly #served = new Map<string, number>();

  constructor(exporter: PageExporter, names: readonly string[]) {
    this.names = names;
    for (const name of names) {
      exporter.add(name, () => {
        const count = this.served(name) + 1;
        this.#served.set(name, count);
        return { body: `scrapes{counting="${name}"} ${count}\n` };
      });
    }
  }

  /** Pages of the target so far. */
  served(name: string): number {
    return this.#served.get(name) ?? 0;
  }

  /** Whether every target was scraped this often. */
  allServed(count: number): boolean {
    return this.names.every((name) => this.served(name) >= count);
  }

  /** Jobs that scrape the targets, one each. */
  jobs(exporter: PageExporter): { job_name: string; metrics_path: string; static_configs: object[] }[] {
    return this.names.map((name) => ({
      job_name: name,
      metrics_path: `/${name}`,
      static_configs: [{ targets: [exporter.address] }],
    }));
  }

  /** Values that arrived at the sink, in order of arrival. */
  arrived(sink: SinkPath, name: string): number[] {
    return sink
      .find({ __name__: "scrapes", counting: name })
      .flatMap(({ samples }) => samples.filter(({ bits }) => bits !== staleBits).map(({ bits }) => numberOf(bits)));
  }

  /** Served and never arrived, over all targets. */
  lost(sink: SinkPath): string[] {
    return this.names.flatMap((name) => {
      const arrived = new Set(this.arrived(sink, name));
      return Array.from({ length: this.served(name) }, (_, i) => i + 1)
        .filter((value) => !arrived.has(value))
        .map((value) => `${name} ${value}`);
    });
  }

  /** Arrived later than a successor, or again. */
  misplaced(sink: SinkPath): string[] {
    return this.names.flatMap((name) => {
      const arrived = this.arrived(sink, name);
      return arrived.filter((value, i) => i > 0 && value <= (arrived[i - 1] ?? 0)).map((value) => `${name} ${value}`);
    });
  }
}
