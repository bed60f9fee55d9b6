/** What a sender tells of what becomes of samples. */

/** Why samples were dropped. */
export type DropReason = "rejected" | "expired" | "queue_full" | "too_old" | "shutdown";

/** Hears what happens; all counts are samples. */
export interface SenderObserver {
  queued(samples: number, highestTimestampMs: number): void;
  /** A request was made, first or repeated. */
  attempted(samples: number, exemplars: number, isRetry: boolean): void;
  delivered(samples: number, exemplars: number, highestTimestampMs: number): void;
  dropped(reason: DropReason, samples: number, exemplars: number, message: string): void;
  /** Exemplars were left out because their labels are longer than OpenMetrics allows. */
  exemplarsRefused?(exemplars: number): void;
  retrying(message: string, waitMs: number, attempt: number): void;
  /** A request is over, after `seconds`; `bytes` went over the wire each time. */
  finished(seconds: number, bytes: number): void;
}
