/** What waits in a queue on disk that nobody has open, seen from its indexes alone. */

import type { FileLayer } from "./file-layer.ts";
import { recoverQueue } from "./recover-queue.ts";

/**
 * Bytes of the segments that hold something which is not acknowledged, and the records of their lanes that do: of a lane that
 * is acknowledged within a segment, all of it. Nothing is changed. Rejects with STORAGE_VERSION, or as the file system does.
 */
export async function waitingData(
  files: FileLayer,
  directory: string,
): Promise<{ readonly records: number; readonly diskBytes: number }> {
  const { journal, segments } = await recoverQueue({ files, directory, repair: false });
  let records = 0;
  let diskBytes = 0;
  for (const { number, index, fileBytes } of segments) {
    if (journal.removed.has(number)) continue;
    const waiting = [...index.lanes.values()].filter(
      ({ lane, lastSequence }) => lastSequence > (journal.positions.get(lane)?.sequence ?? 0),
    );
    if (waiting.length > 0) diskBytes += fileBytes;
    for (const { count } of waiting) records += count;
  }
  return { records, diskBytes };
}
