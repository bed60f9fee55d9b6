/** Removes a segment of which everything is acknowledged. */

import { toError } from "../model/errors.ts";
import type { FileLayer } from "./file-layer.ts";
import type { PositionJournal } from "./position-journal.ts";
import type { Damage } from "./recover-queue.ts";
import type { Segment, SegmentReader } from "./segment.ts";

export interface RemoveSegmentParts {
  readonly files: FileLayer;
  readonly journal: PositionJournal;
  readonly reader: SegmentReader;
  readonly damaged: ((damage: Damage) => void) | undefined;
}

/** Never rejects: what cannot be removed now is removed at the next start. */
export async function removeSegment(segment: Segment, parts: RemoveSegmentParts): Promise<void> {
  const { files, journal, reader, damaged } = parts;
  try {
    await journal.removed(segment.number);
    // The acknowledgements must outlive the records.
    await journal.sync();
  } catch {
    // The next start finds that all of it is acknowledged.
  }
  await reader.forget(segment.path);
  try {
    await files.remove(segment.path);
  } catch (caught) {
    const file = `${segment.path} cannot be removed: ${toError(caught).message}`;
    damaged?.({ file, offset: 0, bytes: 0, kind: "missing" });
  }
}
