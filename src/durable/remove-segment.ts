/** Removes segments of which everything is acknowledged. */

import { toError } from "../model/errors.ts";
import type { Damage } from "./damage.ts";
import type { FileLayer } from "./file-layer.ts";
import type { PositionJournal } from "./position-journal.ts";
import type { Segment, SegmentReader } from "./segment.ts";

export interface RemoveSegmentParts {
  readonly files: FileLayer;
  readonly journal: PositionJournal;
  readonly reader: SegmentReader;
  readonly damaged: ((damage: Damage) => void) | undefined;
}

export class SegmentRemover {
  readonly #parts: RemoveSegmentParts;
  #segments: Segment[] = [];
  #work: Promise<void> = Promise.resolve();

  constructor(parts: RemoveSegmentParts) {
    this.#parts = parts;
  }

  /** Bytes of files that are still there. */
  get bytes(): number {
    return this.#segments.reduce((sum, { fileBytes }) => sum + fileBytes, 0);
  }

  remove(segment: Segment): void {
    this.#segments.push(segment);
    this.#run();
  }

  /** Resolves when all are removed; to false where that cannot be written down: they stay, and are tried again. */
  async idle(): Promise<boolean> {
    await this.#work;
    if (this.#segments.length === 0) return true;
    this.#run();
    await this.#work;
    return this.#segments.length === 0;
  }

  #run(): void {
    this.#work = this.#work.then(async () => {
      for (const segment of this.#segments.slice()) {
        if (!(await removeSegment(segment, this.#parts))) return;
        this.#segments = this.#segments.filter((one) => one !== segment);
      }
    });
  }
}

/** Never rejects; false where the journal could not be written: then the file stays. */
async function removeSegment(segment: Segment, parts: RemoveSegmentParts): Promise<boolean> {
  const { files, journal, reader, damaged } = parts;
  try {
    await journal.removed(segment.number);
    // The acknowledgements must outlive the records.
    await journal.sync();
  } catch {
    return false;
  }
  await reader.forget(segment.path);
  try {
    await files.remove(segment.path);
  } catch (caught) {
    // Somebody else removed it.
    if ((caught as { code?: unknown }).code === "ENOENT") return true;
    // The next start tries again.
    const file = `${segment.path} cannot be removed: ${toError(caught).message}`;
    damaged?.({ file, offset: 0, bytes: 0, kind: "missing" });
  }
  return true;
}
