/** What can be wrong with the files of a disk queue. */

/** What is wrong with a file. */
export interface Damage {
  /** Its path, and what the system said where it could not be read. */
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
  readonly kind:
    | "tail"
    | "record"
    | "header"
    | "foreign"
    | "missing"
    | "journal"
    | "index"
    | "definition"
    | "content"
    /** Nothing is lost: reading is repeated until it works. */
    | "unreadable";
}

/** The code of the error for a pipe or a device in the place of a file. */
export const notFile = "ENOTFILE";
/** ENXIO: a socket, or a device that is not there. */
const brokenCodes: readonly unknown[] = ["EIO", "EISDIR", "ENXIO", "ENODEV", notFile];

/** Whether the device cannot read a place, or something else stands where a file should: repeating helps neither. */
export function isBroken(caught: unknown): boolean {
  return brokenCodes.includes((caught as { code?: unknown }).code);
}

/** Whether there is no file behind a name; a link to nothing has one too. */
export function isGone(caught: unknown): boolean {
  return (caught as { code?: unknown }).code === "ENOENT";
}

/** Whether something else stands where a file should be, or nothing can be read of it: a start goes on without. */
export function isNoFile(caught: unknown): boolean {
  return isBroken(caught) || isGone(caught) || (caught as { code?: unknown }).code === "ELOOP";
}
