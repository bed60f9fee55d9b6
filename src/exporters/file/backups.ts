/** Names and ages of the files that rotation leaves behind: `<name>-<time>-size<extension>`. */

import { access, readdir, unlink } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import type { RotationConfig } from "./config.ts";

const dayMs = 86_400_000;
const timePattern = /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2})-([0-9]{2})-([0-9]{2})\.([0-9]{3})-size$/;

/** The path for a backup made now; never one that exists. */
export async function freeBackupPath(path: string, nowMs: number, isLocal: boolean): Promise<string> {
  const { prefix, extension } = nameParts(path);
  for (let ms = nowMs; ; ms++) {
    const candidate = join(dirname(path), `${prefix}-${formatTime(ms, isLocal)}-size${extension}`);
    const exists = await access(candidate).then(
      () => true,
      () => false,
    );
    if (!exists) return candidate;
  }
}

/** Deletes what is too old or too many. Rejects with the system's error. */
export async function deleteOldBackups(path: string, rotation: RotationConfig, nowMs: number): Promise<void> {
  if (rotation.max_days === 0 && rotation.max_backups === 0) return;
  const { prefix, extension } = nameParts(path);
  const backups: { name: string; timeMs: number }[] = [];
  for (const name of await readdir(dirname(path))) {
    if (!name.startsWith(`${prefix}-`) || !name.endsWith(extension)) continue;
    const end = name.length - extension.length;
    const timeMs = parseTime(name.slice(prefix.length + 1, end), rotation.localtime);
    if (timeMs !== undefined) backups.push({ name, timeMs });
  }
  backups.sort((a, b) => b.timeMs - a.timeMs);
  const oldestMs = rotation.max_days === 0 ? Number.NEGATIVE_INFINITY : nowMs - rotation.max_days * dayMs;
  const kept = rotation.max_backups === 0 ? backups.length : rotation.max_backups;
  const gone = backups.filter((backup, index) => index >= kept || backup.timeMs < oldestMs);
  for (const { name } of gone) await unlink(join(dirname(path), name));
}

function nameParts(path: string): { prefix: string; extension: string } {
  const extension = extname(path);
  return { prefix: basename(path, extension), extension };
}

function formatTime(ms: number, isLocal: boolean): string {
  // Shifted by its offset, local time reads as UTC.
  const shifted = isLocal ? ms - new Date(ms).getTimezoneOffset() * 60_000 : ms;
  return new Date(shifted).toISOString().slice(0, -1).replaceAll(":", "-");
}

function parseTime(text: string, isLocal: boolean): number | undefined {
  const match = timePattern.exec(text);
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0] = match.slice(1).map(Number);
  if (isLocal) return new Date(year, month - 1, day, hour, minute, second, ms).getTime();
  return Date.UTC(year, month - 1, day, hour, minute, second, ms);
}
