/** Reads past places that the device cannot read. */

import type { OpenFile } from "./file-layer.ts";

export interface ReadPast {
  /** Bytes there were, fewer than asked for only at the end of the file; those that cannot be read are zeros. */
  readonly length: number;
  /** Where the first is that cannot be read; undefined when all can. */
  readonly brokenAt: number | undefined;
}

/** Bytes that are read at a time where larger reads fail. */
const blockBytes = 4096;

/** Rejects with errors other than EIO. */
export async function readPast(file: Pick<OpenFile, "read">, target: Uint8Array, position: number): Promise<ReadPast> {
  const whole = await tryRead(file, target, position);
  if (whole !== undefined) return { length: whole, brokenAt: undefined };
  let length = 0;
  let brokenAt: number | undefined;
  while (length < target.length) {
    const part = target.subarray(length, length + blockBytes);
    const count = await tryRead(file, part, position + length);
    if (count === undefined) {
      part.fill(0);
      brokenAt ??= position + length;
    }
    length += count ?? part.length;
    if (count !== undefined && count < part.length) break;
  }
  return { length, brokenAt };
}

async function tryRead(file: Pick<OpenFile, "read">, target: Uint8Array, position: number) {
  try {
    return await file.read(target, position);
  } catch (caught) {
    if ((caught as { code?: unknown }).code !== "EIO") throw caught;
    return undefined;
  }
}
