/** A provider context for tests: remembers every update, log line and failure. */

import type { ProviderContext } from "./provider.ts";
import type { TargetGroup } from "./target-group.ts";

export interface RecordingContext extends ProviderContext {
  readonly updates: (readonly TargetGroup[])[];
  readonly logged: { message: string; fields: Readonly<Record<string, unknown>> | undefined }[];
  readonly failures: string[];
  /** The next update that comes, or one that came since the last call. */
  nextUpdate(): Promise<readonly TargetGroup[]>;
  abort(): void;
}

export function recordingContext(): RecordingContext {
  const controller = new AbortController();
  const updates: (readonly TargetGroup[])[] = [];
  const logged: RecordingContext["logged"] = [];
  const failures: string[] = [];
  let seen = 0;
  let arrived = Promise.withResolvers<void>();
  const log = (message: string, fields?: Readonly<Record<string, unknown>>) => {
    logged.push({ message, fields });
  };
  return {
    config: "job",
    signal: controller.signal,
    updates,
    logged,
    failures,
    log: { warn: log, error: log },
    metrics: {
      refreshFailures: (mechanism) => failures.push(mechanism),
      fileReadErrors: () => failures.push("file read"),
    },
    update(groups) {
      updates.push(groups);
      arrived.resolve();
    },
    async nextUpdate() {
      while (updates.length === seen) {
        arrived = Promise.withResolvers();
        await arrived.promise;
      }
      return updates[seen++] ?? [];
    },
    abort: () => controller.abort(),
  };
}
