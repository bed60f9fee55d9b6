/** Pieces of configuration schemas that many components share. */

import { z } from "zod";
import { formatPath, nodeAt, positionAt } from "../codec/yaml/config-node.ts";
import { parseGoDuration } from "../codec/yaml/go-duration.ts";
import type { ConfigIssue } from "../model/errors.ts";
import type { CompleteContext } from "./define.ts";

/**
 * A duration as the Collector reads it: Go's notation ("200ms", "1h30m"), or an integer of nanoseconds. The parsed
 * value is in milliseconds and is never negative.
 */
export function durationField() {
  return z.union([z.string(), z.number(), z.bigint()]).transform((written, context) => {
    const ms = typeof written === "string" ? parseGoDuration(written) : Number(written) / 1e6;
    if (ms !== undefined && ms >= 0) return ms;
    const found = typeof written === "string" ? JSON.stringify(written) : String(written);
    context.addIssue({ code: "custom", message: `expected a duration like "200ms", got ${found}` });
    return z.NEVER;
  });
}

/** A whole number from `min` to `max`. */
export function countField(min = 0, max = 0xffff_ffff) {
  return z.number().int().min(min).max(max);
}

/** An issue of a section for `complete`, with full path and position. */
export function sectionIssue(
  section: CompleteContext,
  path: readonly (string | number)[],
  message: string,
): ConfigIssue {
  return { path: formatPath([...section.path, ...path]), message, at: positionAt(section.node, path) };
}

/** Whether the key was written in the section, with whatever value. */
export function isWritten(section: CompleteContext, path: readonly (string | number)[]): boolean {
  return section.node !== undefined && nodeAt(section.node, path) !== undefined;
}
