/** Checks the files that a client needs, and says by the key in the configuration which one is unusable. */

import type { ConfigIssue } from "../model/errors.ts";
import { HttpError } from "./http-error.ts";

/** The unusable certificate or key of the client whose settings stand at the path, or undefined. */
export function findFileIssue(client: { checkFiles(): void }, path: string): ConfigIssue | undefined {
  try {
    client.checkFiles();
    return undefined;
  } catch (caught) {
    if (!(caught instanceof HttpError)) throw caught;
    // The message begins with the key, as `tls_config.ca_file: `.
    const [, key = "", message = caught.message] = /^([\w.]+): (.*)$/s.exec(caught.message) ?? [];
    return { path: [path, ...key.split(".").filter((part) => part !== "")].join("::"), message };
  }
}
