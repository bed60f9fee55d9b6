/** Keeps the queues of exporters on disk, so that they survive the process. */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { byteSize, duration } from "../../codec/yaml/field-types.ts";
import { type CompleteContext, defineExtension, type Lifecycle } from "../../component/define.ts";
import type { OpenedQueue, QueueRequest, QueueStorage } from "../../component/queue-storage.ts";
import { isWritten, sectionIssue } from "../../component/section-issues.ts";
import type { Clock, LogFields, Logger } from "../../component/telemetry.ts";
import { lockWithin } from "../../durable/directory-lock.ts";
import { systemFiles } from "../../durable/file-layer.ts";
import type { QueueLimits } from "../../durable/queue-limits.ts";
import { changeShared, openShared } from "../../durable/shared-queues.ts";
import { ConfigError, toError } from "../../model/errors.ts";
import { queueFolder } from "./queue-folder.ts";
import { warnOfUnused } from "./warn-of-unused.ts";

const config = z.strictObject({
  directory: z
    .string()
    .min(1, "expected a directory")
    .default("/var/lib/otelcol/file_storage")
    .describe("Where the queues are, each in a directory of its own."),
  create_directory: z.boolean().default(false).describe("Makes the directory when it is not there."),
  directory_permissions: z
    .string()
    .regex(/^0?[0-7]{3}$/, 'expected permissions like "0750"')
    .default("0750")
    .describe("Permissions of directories that are made, octal; files get the same without the right to execute."),
  timeout: duration()
    .default(1000)
    .describe("How long to wait for a queue that another process still has, before it is an error."),
  fsync: z
    .boolean()
    .default(false)
    .describe("Answers senders when their data would survive a power cut; those that come at a time share a sync."),
  max_size: byteSize()
    .default(10 * 2 ** 30)
    .describe("Most bytes of each queue: one for each signal of each exporter. 0 means no limit."),
  max_age: duration().default(0).describe("Older data is dropped, counted. 0 means never (Millrace's own key)."),
  min_free_space: byteSize()
    .default(64 * 2 ** 20)
    .describe("Bytes of the device that are left free (Millrace's own key)."),
  when_full: z
    .enum(["block", "drop_oldest"])
    .default("block")
    .describe("At a limit: refuse what comes, so that senders wait, or drop the oldest, counted (Millrace's own key)."),
  recreate: z.boolean().default(false).describe("Accepted; damage costs the damaged records and never stops a start."),
  compaction: z
    .strictObject({
      on_start: z.boolean().default(false).describe("Accepted, without effect."),
      on_rebound: z.boolean().default(false).describe("Accepted, without effect."),
      directory: z.string().optional().describe("Accepted, without effect."),
      max_transaction_size: z.number().int().min(0).default(65_536).describe("Accepted, without effect."),
      rebound_needed_threshold_mib: z.number().int().min(0).default(100).describe("Accepted, without effect."),
      rebound_trigger_threshold_mib: z.number().int().min(0).default(10).describe("Accepted, without effect."),
      check_interval: duration().default(5000).describe("Accepted, without effect."),
      cleanup_on_start: z.boolean().default(false).describe("Accepted, without effect."),
    })
    .prefault({})
    .describe("Accepted; there is nothing to compact: a file is removed when all in it is delivered."),
});

type FileStorageConfig = z.output<typeof config>;

export default defineExtension<FileStorageConfig>({
  type: "file_storage",
  description: "Keeps the queues of exporters on disk.",
  stability: "beta",
  config,

  complete(section, context: CompleteContext) {
    const notice = (key: string, why: string) => {
      if (isWritten(context, [key])) context.notice(sectionIssue(context, [key], why));
    };
    notice("compaction", "has no effect: a file is removed when all in it is delivered, there is nothing to compact");
    notice("recreate", "has no effect: damage costs the damaged records and never stops a start");
    return section;
  },

  create({ id, config: section, clock, log, host, spawn }) {
    const { directory } = section;
    spawn("unused queues", (stop) => warnOfUnused({ directory, host, clock, log }, stop));
    return new FileStorage(id, section, clock, log);
  },
});

class FileStorage implements Lifecycle, QueueStorage {
  readonly #id: string;
  readonly #config: FileStorageConfig;
  readonly #clock: Clock;
  readonly #log: Logger;

  constructor(id: string, section: FileStorageConfig, clock: Clock, log: Logger) {
    this.#id = id;
    this.#config = section;
    this.#clock = clock;
    this.#log = log;
  }

  async start(): Promise<void> {
    const { directory, create_directory: create, fsync } = this.#config;
    try {
      if (create) await systemFiles.makeDirectory(directory, this.#permissions);
      else if (!(await stat(directory)).isDirectory()) throw new Error(`${directory} is not a directory`);
    } catch (caught) {
      const { code, message } = toError(caught) as Error & { code?: unknown };
      const why = code === "ENOENT" ? `${directory} does not exist, and create_directory is false` : message;
      throw new ConfigError([{ path: `extensions::${this.#id}::directory`, message: why }], { cause: caught });
    }
    // After a reload exporters go on with queues that they opened before.
    const { synced, elsewhere } = changeShared(this.#id, { directory, fsync, ...this.#limits });
    this.#warnOfOpen("fsync", synced);
    const hint =
      "what waits in them is not sent after it, unless they are moved there; millrace queue replay sends it too";
    this.#warnOfOpen("directory", elsewhere, { hint });
  }

  #warnOfOpen(key: string, queues: readonly string[], more: LogFields = {}): void {
    if (queues.length === 0) return;
    const message = `extensions::${this.#id}::${key}: counts after a restart for the queues that are open`;
    this.#log.warn(message, { queues, ...more });
  }

  /** Queues end with their exporters: this extension may be replaced while they run. */
  openQueue<T>({ name, codec, damaged, gaveUp }: QueueRequest<T>): Promise<OpenedQueue<T>> {
    const { directory, timeout, fsync } = this.#config;
    const sleep = (ms: number, signal?: AbortSignal) => this.#clock.sleep(ms, signal);
    const options = {
      ...this.#limits,
      directory: join(directory, queueFolder(name)),
      directoryPermissions: this.#permissions,
      codec,
      fsync,
      lock: lockWithin(timeout, sleep),
      now: this.#clock.now,
      sleep,
      damaged,
      gaveUp,
    };
    return openShared<T>(options, this.#id, () => this.#warnOfOpen("fsync", [options.directory]));
  }

  get #limits(): QueueLimits {
    const { max_size: maxSize, max_age: maxAgeMs, min_free_space: minFreeBytes, when_full: whenFull } = this.#config;
    return { maxBytes: maxSize === 0 ? Number.MAX_SAFE_INTEGER : maxSize, maxAgeMs, minFreeBytes, whenFull };
  }

  get #permissions(): number {
    return Number.parseInt(this.#config.directory_permissions, 8);
  }
}
