/** Names queues with data that no exporter of the configuration uses: what waits in them would be forgotten. */

import { resolve } from "node:path";
import type { Host } from "../../component/define.ts";
import type { Clock, Logger } from "../../component/telemetry.ts";
import { systemFiles } from "../../durable/file-layer.ts";
import { findQueues } from "../../durable/inspect-queue.ts";
import { isOpenShared } from "../../durable/shared-queues.ts";
import { waitingData } from "../../durable/waiting-data.ts";
import { toError } from "../../model/errors.ts";

/** Exporters of a reload are open by then. */
const lookAfterMs = 10_000;

export interface WarnOfUnusedParts {
  readonly directory: string;
  readonly host: Pick<Host, "isReady">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Warns once, some time after everything has started. Never rejects. */
export async function warnOfUnused(
  { directory, host, clock, log }: WarnOfUnusedParts,
  stop: AbortSignal,
): Promise<void> {
  do await clock.sleep(lookAfterMs, stop);
  while (!stop.aborted && !host.isReady());
  for (const queue of await queuesBelow(directory)) {
    if (stop.aborted) return;
    if (isOpenShared(queue)) continue;
    const hint = `where nothing else does, millrace queue replay ${queue} --to URL sends it`;
    try {
      const { records, diskBytes: bytes } = await waitingData(systemFiles, queue);
      if (records > 0) log.warn("No exporter uses this queue", { directory: queue, records, bytes, hint });
    } catch (caught) {
      log.warn("No exporter uses this queue", { directory: queue, err: toError(caught).message, hint });
    }
  }
}

async function queuesBelow(directory: string): Promise<string[]> {
  try {
    const found = await findQueues(systemFiles, resolve(directory), 1);
    return found.filter((queue) => queue !== resolve(directory));
  } catch {
    // It is gone, or may not be read: the queues that are open say so themselves.
    return [];
  }
}
