/** A secret that is given as text or as a file; a file is looked at again for every request. */

import { WatchedFile } from "./watched-file.ts";

/** Returns the secret as it is now; throws HttpError FILE_UNREADABLE. */
export type SecretReader = () => string;

/** The text wins over the file; undefined when neither is given. Texts of files are trimmed. `key` names the file in errors. */
export function secretReader(
  text: string | undefined,
  file: string | undefined,
  key: string,
): SecretReader | undefined {
  if (text !== undefined && text !== "") {
    return () => text;
  }
  if (file === undefined || file === "") {
    return text === undefined ? undefined : () => text;
  }
  const watched = new WatchedFile(key, file);
  return () => watched.read().trim();
}
