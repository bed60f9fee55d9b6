/** The one place that names components: what there is, without loading it, and how to load it. */

import type { AnyDefinition, ComponentKind, Stability } from "./component/define.ts";
import type { CatalogEntry, ComponentCatalog } from "./config/plan-types.ts";
import type { Signal } from "./model/otlp-request.ts";

/** What is known of a component type before it is loaded; a test compares it with the definition. */
export interface RegistryEntry {
  readonly kind: ComponentKind;
  readonly type: string;
  /** Other spellings that are accepted; they are older ones, and using one is worth a line in the log. */
  readonly aliases: readonly string[];
  /** Stability by signal; empty for connectors and extensions. */
  readonly stability: Readonly<Partial<Record<Signal, Stability>>>;
  /** What a connector makes of what; empty for the others. */
  readonly pairs: readonly { readonly from: Signal; readonly to: Signal; readonly stability: Stability }[];
  /** Of an extension. */
  readonly extensionStability?: Stability | undefined;
  /** Value of the label `transport` of a receiver's own metrics. */
  readonly transport: string;
  /** Whether a receiver or exporter keeps the Collector's metrics of its kind itself, so that the pipeline does not. */
  readonly countsItself: boolean;
  load(): Promise<AnyDefinition>;
}

type Facts = Partial<Omit<RegistryEntry, "kind" | "type">> & Pick<RegistryEntry, "load">;

function entry(kind: ComponentKind, type: string, facts: Facts): RegistryEntry {
  return { kind, type, aliases: [], stability: {}, pairs: [], transport: "", countsItself: false, ...facts };
}

const entries: readonly RegistryEntry[] = [
  entry("receiver", "prometheus", {
    stability: { metrics: "beta" },
    transport: "http",
    countsItself: true,
    load: async () => (await import("./receivers/prometheus/prometheus.ts")).default,
  }),
  entry("receiver", "otlp", {
    stability: { metrics: "beta", traces: "beta", logs: "beta" },
    countsItself: true,
    load: async () => (await import("./receivers/otlp/otlp.ts")).default,
  }),
  entry("processor", "attributes", {
    stability: { metrics: "beta", traces: "beta", logs: "beta" },
    load: async () => (await import("./processors/attributes/attributes.ts")).default,
  }),
  entry("processor", "batch", {
    stability: { metrics: "beta", traces: "beta", logs: "beta" },
    load: async () => (await import("./processors/batch/batch.ts")).default,
  }),
  entry("processor", "memory_limiter", {
    stability: { metrics: "beta", traces: "beta", logs: "beta" },
    load: async () => (await import("./processors/memory_limiter/memory_limiter.ts")).default,
  }),
  entry("processor", "resource", {
    stability: { metrics: "beta", traces: "beta", logs: "beta" },
    load: async () => (await import("./processors/resource/resource.ts")).default,
  }),
  entry("exporter", "debug", {
    stability: { metrics: "alpha", traces: "alpha", logs: "alpha" },
    load: async () => (await import("./exporters/debug/debug.ts")).default,
  }),
  entry("exporter", "file", {
    stability: { metrics: "alpha", traces: "alpha", logs: "alpha" },
    load: async () => (await import("./exporters/file/file.ts")).default,
  }),
  entry("exporter", "otlp_grpc", {
    aliases: ["otlp"],
    stability: { metrics: "beta", traces: "beta", logs: "beta" },
    countsItself: true,
    load: async () => (await import("./exporters/otlp_grpc/otlp_grpc.ts")).default,
  }),
  entry("exporter", "otlp_http", {
    aliases: ["otlphttp"],
    stability: { metrics: "beta", traces: "beta", logs: "beta" },
    countsItself: true,
    load: async () => (await import("./exporters/otlp_http/otlp_http.ts")).default,
  }),
  entry("exporter", "prometheus_remote_write", {
    aliases: ["prometheusremotewrite"],
    stability: { metrics: "beta" },
    countsItself: true,
    load: async () => (await import("./exporters/prometheus_remote_write/prometheus_remote_write.ts")).default,
  }),
  entry("connector", "forward", {
    pairs: [
      { from: "metrics", to: "metrics", stability: "beta" },
      { from: "traces", to: "traces", stability: "beta" },
      { from: "logs", to: "logs", stability: "beta" },
    ],
    load: async () => (await import("./connectors/forward/forward.ts")).default,
  }),
  entry("extension", "basicauth", {
    aliases: ["basic_auth"],
    extensionStability: "beta",
    load: async () => (await import("./extensions/basicauth/basicauth.ts")).default,
  }),
  entry("extension", "bearertokenauth", {
    aliases: ["bearer_token_auth"],
    extensionStability: "beta",
    load: async () => (await import("./extensions/bearertokenauth/bearertokenauth.ts")).default,
  }),
  entry("extension", "file_storage", {
    extensionStability: "beta",
    load: async () => (await import("./extensions/file_storage/file_storage.ts")).default,
  }),
  entry("extension", "health_check", {
    extensionStability: "beta",
    load: async () => (await import("./extensions/health_check/health_check.ts")).default,
  }),
];

/** Types that a configuration may name and that this version does not have yet, with their older spellings. */
const laterTypes: Readonly<Record<ComponentKind, readonly string[]>> = {
  receiver: [
    "carbon",
    "collectd",
    "docker_stats",
    "filelog",
    "file_log",
    "host_metrics",
    "hostmetrics",
    "k8s_cluster",
    "kafka",
    "kubelet_stats",
    "kubeletstats",
    "nop",
    "otel_arrow",
    "otelarrow",
    "otlp_json_file",
    "otlpjsonfile",
    "prometheus_remote_write",
    "prometheusremotewrite",
    "prometheus_simple",
    "statsd",
  ],
  processor: [
    "cumulative_to_delta",
    "cumulativetodelta",
    "delta_to_cumulative",
    "deltatocumulative",
    "delta_to_rate",
    "deltatorate",
    "filter",
    "group_by_attrs",
    "groupbyattrs",
    "interval",
    "k8s_attributes",
    "k8sattributes",
    "metrics_generation",
    "metricsgeneration",
    "metric_start_time",
    "metricstarttime",
    "metrics_transform",
    "metricstransform",
    "probabilistic_sampler",
    "queue_batch",
    "queuebatch",
    "resource_detection",
    "resourcedetection",
    "tail_sampling",
    "transform",
  ],
  exporter: [
    "kafka",
    "load_balancing",
    "loadbalancing",
    "metrics_backend",
    "nop",
    "otel_arrow",
    "otelarrow",
    "prometheus",
    "statsd",
  ],
  connector: ["count", "exceptions", "failover", "routing", "span_metrics", "spanmetrics", "sum"],
  extension: [
    "headers_setter",
    "health_check_v2",
    "healthcheckv2",
    "k8s_leader_elector",
    "k8s_observer",
    "memory_limiter",
    "oauth2_client",
    "oauth2client",
    "oidc",
    "opamp",
    "pprof",
    "sigv4_auth",
    "sigv4auth",
    "zpages",
  ],
};

/** The components of the product and those that a configuration brings along. */
export class Registry implements ComponentCatalog {
  readonly #entries: readonly RegistryEntry[];

  /** `outside` are definitions from outside; none of them may have the kind and name of another. */
  constructor(outside: readonly AnyDefinition[] = []) {
    this.#entries = [...entries, ...outside.map(outsideEntry)];
  }

  /** Every component, in the order of kinds and names. */
  get all(): readonly RegistryEntry[] {
    return this.#entries;
  }

  /** The entry with this name or older spelling. */
  entry(kind: ComponentKind, type: string): RegistryEntry | undefined {
    const ofKind = this.#entries.filter((one) => one.kind === kind);
    return ofKind.find((one) => one.type === type) ?? ofKind.find((one) => one.aliases.includes(type));
  }

  find(kind: ComponentKind, type: string): CatalogEntry | undefined {
    const found = this.entry(kind, type);
    if (found === undefined) return undefined;
    return {
      type: found.type,
      deprecatedAlias: found.type !== type,
      signals: signalsOf(found.stability),
      connectorPairs: found.pairs.map(({ from, to }) => ({ from, to })),
    };
  }

  types(kind: ComponentKind): readonly string[] {
    return this.#entries.filter((one) => one.kind === kind).map((one) => one.type);
  }

  later(kind: ComponentKind, type: string): boolean {
    return laterTypes[kind].includes(type);
  }

  /** Loads a definition; the type must be one of `types`, not an older spelling. */
  async load(kind: ComponentKind, type: string): Promise<AnyDefinition> {
    const found = this.entry(kind, type);
    if (found === undefined) throw new Error(`no ${kind} ${JSON.stringify(type)}`);
    return await found.load();
  }
}

function outsideEntry(definition: AnyDefinition): RegistryEntry {
  const stability = definition.kind === "connector" || definition.kind === "extension" ? {} : definition.stability;
  return entry(definition.kind, definition.type, {
    aliases: definition.aliases ?? [],
    stability,
    pairs: definition.kind === "connector" ? definition.pairs : [],
    extensionStability: definition.kind === "extension" ? definition.stability : undefined,
    load: async () => definition,
  });
}

function signalsOf(stability: RegistryEntry["stability"]): Signal[] {
  return (["metrics", "traces", "logs"] as const).filter((signal) => stability[signal] !== undefined);
}
