/** What came of one scrape, before it is handed on. */

import type { PageContent, PageError } from "./page-content.ts";
import type { ScrapeReport } from "./report-series.ts";

export interface Attempt {
  readonly content: PageContent | undefined;
  readonly error: Error | undefined;
  /** Label sets that a page had brought before it failed. */
  readonly seen: Uint32Array;
  readonly report: ScrapeReport;
}

/** No label sets. */
export const nothing = new Uint32Array(0);

/** A page of `bodySizeBytes` bytes was read. */
export function readAttempt(content: PageContent, bodySizeBytes: number): Attempt {
  const report = {
    samplesScraped: content.samples,
    samplesPostMetricRelabeling: content.samplesAfterRelabel,
    seriesAdded: content.seriesAdded,
    bodySizeBytes,
  };
  return { content, error: undefined, seen: nothing, report };
}

/** A page that was read in part before its fault; `tracksTimed` counts lines with a timestamp among what was seen. */
export function refusedPage(error: PageError, bodySizeBytes: number, tracksTimed: boolean): Attempt {
  const report = {
    samplesScraped: error.samples,
    samplesPostMetricRelabeling: error.samplesAfterRelabel,
    seriesAdded: error.seriesAdded,
    bodySizeBytes,
  };
  return { content: undefined, error, seen: tracksTimed ? error.seen : error.seenWithoutTime, report };
}

/** No page that can be read. */
export function failedAttempt(error: Error, bodySizeBytes: number): Attempt {
  const report = { samplesScraped: 0, samplesPostMetricRelabeling: 0, seriesAdded: 0, bodySizeBytes };
  return { content: undefined, error, seen: nothing, report };
}

/** A page of no bytes. */
export const emptyAttempt: Attempt = {
  content: undefined,
  error: undefined,
  seen: nothing,
  report: { samplesScraped: 0, samplesPostMetricRelabeling: 0, seriesAdded: 0, bodySizeBytes: 0 },
};
