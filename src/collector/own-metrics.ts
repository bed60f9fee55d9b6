/** Serves the collector's own metrics as `service::telemetry::metrics` says. */

import type { ConfigNode } from "../codec/yaml/config-node.ts";
import { childNode, formatPath, nodeAt, positionAt } from "../codec/yaml/config-node.ts";
import type { MetricRegistry } from "../component/metric-registry.ts";
import type { Logger } from "../component/telemetry.ts";
import type { PrometheusReaderSettings, TelemetrySettings } from "../config/telemetry-config.ts";
import { ConfigError, toError } from "../model/errors.ts";
import { createRouter } from "../transport/http-router.ts";
import { type RunningHttpServer, startHttpServer } from "../transport/http-server.ts";
import { type MetricsPageOptions, servePage } from "./self-metrics.ts";

const readersPath = ["service", "telemetry", "metrics", "readers"];
/** How long a page under way may take when the server closes. */
const closeDeadlineMs = 500;

interface RunningReader {
  readonly settings: PrometheusReaderSettings;
  readonly server: RunningHttpServer;
}

/** Attributes of the process' resource as texts, by name. */
export type ResourceLabels = Readonly<Record<string, string>>;

/** One server for each reader; a reload keeps those that stay where they are. */
export class OwnMetrics {
  readonly #registry: MetricRegistry;
  readonly #log: Logger;
  #readers: RunningReader[] = [];
  /** What pages look like at the moment, by `host:port`. */
  #pages = new Map<string, MetricsPageOptions>();

  constructor(registry: MetricRegistry, log: Logger) {
    this.#registry = registry;
    this.#log = log;
  }

  /** Where pages can be had. */
  get urls(): string[] {
    return this.#readers.map(({ server }) => `${server.url}/metrics`);
  }

  /**
   * Listens where the settings say and no longer anywhere else. Throws ConfigError with the key when an address cannot be
   * had; then everything is as it was.
   */
  async apply({ metrics }: TelemetrySettings, resource: ResourceLabels, root: ConfigNode | undefined): Promise<void> {
    const pages = new Map<string, MetricsPageOptions>();
    const kept: RunningReader[] = [];
    const started: RunningReader[] = [];
    const previous = this.#pages;
    try {
      for (const [index, settings] of metrics.prometheusReaders.entries()) {
        pages.set(addressOf(settings), pageOptions(metrics.level, settings, resource));
        const running = this.#readers.find((one) => addressOf(one.settings) === addressOf(settings));
        if (running !== undefined && !kept.includes(running)) kept.push(running);
        else started.push({ settings, server: await this.#listen(settings, index, root) });
      }
    } catch (error) {
      this.#pages = previous;
      await Promise.all(started.map(({ server }) => server.close(0)));
      throw error;
    }
    const gone = this.#readers.filter((one) => !kept.includes(one));
    this.#readers = [...kept, ...started];
    this.#pages = pages;
    await Promise.all(gone.map(({ server }) => server.close(closeDeadlineMs)));
    for (const { server } of started) this.#log.info("Serving metrics", { url: `${server.url}/metrics` });
  }

  async close(): Promise<void> {
    const readers = this.#readers;
    this.#readers = [];
    await Promise.all(readers.map(({ server }) => server.close(closeDeadlineMs)));
  }

  async #listen(
    settings: PrometheusReaderSettings,
    index: number,
    root: ConfigNode | undefined,
  ): Promise<RunningHttpServer> {
    const { host, port } = settings;
    const router = createRouter();
    router.on("GET", "/metrics", (request, response) => {
      const page = this.#pages.get(addressOf(settings));
      if (page === undefined) response.writeHead(503).end();
      else servePage(this.#registry, page, request, response);
    });
    try {
      return await startHttpServer({
        host,
        port,
        handler: router.handler,
        onError: (error) => this.#log.warn("Cannot serve metrics", { error: error.message }),
      });
    } catch (caught) {
      const path = [...readersPath, writtenIndex(root, index), "pull", "exporter", "prometheus", "port"];
      const message = `cannot serve metrics: ${toError(caught).message}`;
      throw new ConfigError([{ path: formatPath(path), message, at: positionOf(root, path) }], { cause: caught });
    }
  }
}

function addressOf({ host, port }: PrometheusReaderSettings): string {
  return `${host}:${port}`;
}

/** Settings list only the readers that are served: the place in the list as written. */
function writtenIndex(root: ConfigNode | undefined, index: number): number {
  const readers = root === undefined ? undefined : nodeAt(root, readersPath);
  if (readers?.kind !== "list") return index;
  const pulls = readers.items.flatMap((item, i) => (childNode(item, "pull") === undefined ? [] : [i]));
  return pulls[index] ?? index;
}

function positionOf(root: ConfigNode | undefined, path: readonly (string | number)[]) {
  return root !== undefined && nodeAt(root, readersPath) !== undefined ? positionAt(root, path) : undefined;
}

function pageOptions(
  level: MetricsPageOptions["level"],
  settings: PrometheusReaderSettings,
  resource: ResourceLabels,
): MetricsPageOptions {
  const { included = [], excluded = [] } = settings.with_resource_constant_labels ?? {};
  const names = Object.keys(resource).filter(
    (name) => included.some((pattern) => matches(pattern, name)) && !excluded.some((pattern) => matches(pattern, name)),
  );
  const labels = Object.fromEntries(names.map((name) => [labelName(name), resource[name] ?? ""]));
  // Always text: OpenMetrics would add _total, and whoever scrapes the Collector knows the names without.
  return { level, constantLabels: labels, totalSuffix: !settings.without_type_suffix, format: "text" };
}

/** `*` and `?`, in time linear in the name for each star. */
function matches(pattern: string, name: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("?", "."));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(name);
}

/** The label that an attribute becomes. */
export function labelName(attribute: string): string {
  const name = attribute.replace(/[^a-zA-Z0-9_]/g, "_");
  return /^[0-9]/.test(name) ? `_${name}` : name;
}
