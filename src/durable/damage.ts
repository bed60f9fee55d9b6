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

/** Whether the device cannot read a place, or a directory stands where a file should: repeating helps neither. */
export function isBroken(caught: unknown): boolean {
  const { code } = caught as { code?: unknown };
  return code === "EIO" || code === "EISDIR";
}

/** Whether there is no file behind a name; a link to nothing has one too. */
export function isGone(caught: unknown): boolean {
  return (caught as { code?: unknown }).code === "ENOENT";
}

/** Whether something else stands where a file should be, or nothing can be read of it: a start goes on without. */
export function isNoFile(caught: unknown): boolean {
  return isBroken(caught) || isGone(caught) || (caught as { code?: unknown }).code === "ELOOP";
}
