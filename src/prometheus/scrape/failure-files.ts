/** Writes failed scrapes to the files that `scrape_failure_log_file` names, one JSON object per line. */

import { appendFile } from "node:fs/promises";
import { toError } from "../../model/errors.ts";
import { redactUrl } from "../../transport/redact-url.ts";
import type { ScrapeTarget } from "./scrape-target.ts";

/** Lines that may wait for one file; what comes while the file cannot keep up is left out. */
const maxWaitingLines = 1000;

interface LogFile {
  waiting: number;
  last: Promise<void>;
  failed: boolean;
}

/** Every line opens its file anew, so that a file that was moved away is begun again. */
export class FailureFiles {
  readonly #files = new Map<string, LogFile>();
  readonly #broken: (file: string, error: Error) => void;

  /** `broken` hears once when a file cannot be written. */
  constructor(broken: (file: string, error: Error) => void) {
    this.#broken = broken;
  }

  write(path: string, target: ScrapeTarget, error: Error, nowMs: number): void {
    const file = this.#files.get(path) ?? { waiting: 0, last: Promise.resolve(), failed: false };
    this.#files.set(path, file);
    if (file.waiting >= maxWaitingLines) return;
    const line = JSON.stringify({
      time: new Date(nowMs).toISOString(),
      level: "ERROR",
      msg: error.message,
      job_name: target.jobName,
      target: redactUrl(target.url),
    });
    file.waiting++;
    file.last = file.last.then(() => this.#append(path, file, line));
  }

  /** Resolves when everything is written. */
  async flush(): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.last));
  }

  async #append(path: string, file: LogFile, line: string): Promise<void> {
    try {
      await appendFile(path, `${line}\n`);
      file.failed = false;
    } catch (caught) {
      if (!file.failed) this.#broken(path, toError(caught));
      file.failed = true;
    } finally {
      file.waiting--;
    }
  }
}
