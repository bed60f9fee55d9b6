/** The flags of `millrace agent`, as Prometheus spells them where it has them. */

export interface AgentOptions {
  /** The environment of the process. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly configFile: string;
  /** `host:port`. */
  readonly listenAddress: string;
  /** Where queues are kept on disk; undefined keeps them in memory. */
  readonly storagePath?: string | undefined;
  /** Bytes of the queue on disk that each endpoint may have. */
  readonly maxStorageBytes?: number | undefined;
  /** Bytes of the device that queues on disk leave free. */
  readonly minFreeBytes?: number | undefined;
  /** At a limit of the queue on disk: refuse scrapes, or drop the oldest samples (the default). */
  readonly whenStorageFull?: "block" | "drop_oldest" | undefined;
  /** Older samples on disk are dropped; 0, the default, is never. */
  readonly maxStorageAgeMs?: number | undefined;
  /** Whether queues on disk survive a power cut: a scrape counts as taken when it is synced. */
  readonly syncsStorage?: boolean | undefined;
  /** How long shutdown and a changed queue try to deliver what is queued. */
  readonly flushDeadlineMs: number;
  /** Bytes of samples that an endpoint's queue may hold while the endpoint is down. */
  readonly maxQueuedBytes: number;
  readonly enableLifecycle: boolean;
  readonly logLevel: "debug" | "info" | "warn" | "error";
  readonly logFormat: "logfmt" | "json";
  readonly externalUrl: string;
  /** Millrace's own bounds on scraped pages. */
  readonly maxBodyBytes: number;
  /** Memory for all pages under way; 0, the default, is a quarter of the memory there is. */
  readonly maxAllPagesBytes?: number | undefined;
  readonly maxSeriesPerTarget: number;
  readonly maxLineBytes: number;
  readonly maxLabels: number;
}
