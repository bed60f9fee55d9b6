/** Writes configuration files of `millrace run` with one metrics pipeline. */

import { stringify } from "yaml";

/** What the file holds beside the defaults of tests. */
export interface RunFile {
  readonly global?: Readonly<Record<string, unknown>>;
  /** Scrape jobs; a job without targets when left out. */
  readonly jobs?: readonly object[];
  readonly processors?: Readonly<Record<string, unknown>>;
  readonly exporters: Readonly<Record<string, unknown>>;
  readonly extensions?: Readonly<Record<string, unknown>>;
  /** Keys of `service` beside pipelines, extensions and metrics. */
  readonly service?: Readonly<Record<string, unknown>>;
  readonly logLevel?: "debug" | "info";
  /** Of the own metrics; 0, which picks one, when left out. */
  readonly metricsPort?: number;
}

/** The text of the file. */
export function runConfig(file: RunFile): string {
  const { global, jobs = [{ job_name: "none" }], processors = {}, exporters, extensions, service } = file;
  const own = { host: "127.0.0.1", port: file.metricsPort ?? 0 };
  return stringify({
    receivers: { prometheus: { config: { ...(global === undefined ? {} : { global }), scrape_configs: jobs } } },
    processors,
    exporters,
    ...(extensions === undefined ? {} : { extensions }),
    service: {
      ...service,
      ...(extensions === undefined ? {} : { extensions: Object.keys(extensions) }),
      telemetry: {
        logs: { level: file.logLevel ?? "info" },
        metrics: { readers: [{ pull: { exporter: { prometheus: own } } }] },
      },
      pipelines: {
        metrics: {
          receivers: ["prometheus"],
          processors: Object.keys(processors),
          exporters: Object.keys(exporters),
        },
      },
    },
  });
}
