/** Logs failing targets: when one begins to fail, when its error changes, and now and then. */

import { redactUrl } from "../../transport/redact-url.ts";
import { PageError } from "./page-content.ts";
import type { ScrapeClock } from "./scrape-environment.ts";
import { FetchError, type ScrapeTarget } from "./scrape-target.ts";

/** Log of the process, as far as scraping uses it. */
export interface ScrapeLog {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** The same error is logged again after this time. */
const repeatMs = 300_000;
/** Most errors that are told apart in that time: a target whose every page is wrong in another way must not fill the log. */
const maxErrors = 4;
/** Most targets that are remembered. */
const maxKeys = 10_000;

export class FailureLog {
  readonly #log: ScrapeLog;
  readonly #clock: ScrapeClock;
  /** By target or job: when which error was logged. */
  readonly #logged = new Map<string, Map<string, number>>();

  constructor(log: ScrapeLog, clock: ScrapeClock) {
    this.#log = log;
    this.#clock = clock;
  }

  scrapeFailed(target: ScrapeTarget, error: Error): void {
    if (!this.#isNews(`scrape ${target.identity}`, error.message)) return;
    this.#log.warn("Failed to scrape Prometheus endpoint", {
      job: target.jobName,
      target: redactUrl(target.url),
      ...placeOf(error),
      err: error.message,
    });
  }

  /** Said once of all targets of a job. */
  batchRefused(target: ScrapeTarget, error: Error): void {
    if (!this.#isNews(`refused ${target.jobName}`, error.message.replace(/\d+/g, "n"))) return;
    this.#log.error("Scraped samples were not taken", {
      job: target.jobName,
      target: redactUrl(target.url),
      err: error.message,
    });
  }

  #isNews(key: string, message: string): boolean {
    const now = this.#clock.monotonic();
    const logged = this.#logged.get(key) ?? new Map<string, number>();
    for (const [known, atMs] of logged) if (now - atMs >= repeatMs) logged.delete(known);
    if (logged.has(message) || logged.size >= maxErrors) return false;
    logged.set(message, now);
    if (this.#logged.size > maxKeys) this.#logged.clear();
    this.#logged.set(key, logged);
    return true;
  }
}

/** The reason under which the failure is counted, and where in the page it is. */
function placeOf(error: Error): Readonly<Record<string, unknown>> {
  if (error instanceof PageError) return { reason: error.reason, offset: error.offset };
  if (error instanceof FetchError) return { reason: error.kind === "body_size" ? "body_size_limit" : error.kind };
  return { reason: "content" };
}
