/** What can be wrong with a directory of the disk queue. */

export type StorageErrorCode =
  | "STORAGE_LOCKED"
  | "STORAGE_VERSION"
  | "STORAGE_UNUSABLE"
  | "STORAGE_FULL"
  | "STORAGE_FAILED"
  | "STORAGE_CLOSED";

/** A queue on disk that cannot be opened or cannot take more; the message names the directory or file. */
export class StorageError extends Error {
  readonly code: StorageErrorCode;

  constructor(code: StorageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StorageError";
    this.code = code;
  }
}
