/** What scraping counts; the process turns it into metrics with the names that people's alerts use. */

import type { ScrapeError } from "./sample-labels.ts";
import type { FetchErrorKind } from "./scrape-target.ts";

/** Why a scrape brought no page that can be read; `content` is a page of an unusable type. */
export type MissingPageReason = Exclude<FetchErrorKind, "body_size" | "own_limit"> | "content";

export interface ScrapeMetrics {
  /** A scrape took this long. */
  scraped(seconds: number): void;
  /** A scrape that was due at `dueMs` began at `nowMs`. */
  intervalLength(intervalMs: number, dueMs: number, nowMs: number): void;
  /** Scrapes that were left out because an earlier one took too long. */
  missedScrapes(count: number): void;
  samplesDropped(reason: "duplicate_timestamp" | "out_of_bounds" | "out_of_order" | "refused", count: number): void;
  /** A whole scrape was refused. */
  limitExceeded(reason: ScrapeError["reason"] | "body_size_limit" | "target_limit"): void;
  /** A scrape failed before its page was read. */
  pageMissing(reason: MissingPageReason): void;
}
