/** A target that is scraped, as the loop and the API see it. */

import type { Label } from "../../model/identities.ts";

export interface ScrapeTarget {
  readonly jobName: string;
  /** Labels of every series of the target: those that do not begin with `__`, sorted by name. */
  readonly labels: readonly Label[];
  /** All labels before relabeling. */
  readonly discoveredLabels: Readonly<Record<string, string>>;
  /** As Go writes it. */
  readonly url: string;
  /** Set when the target is reached through a Unix socket. */
  readonly socketPath: string | undefined;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Equal for two targets exactly where labels and URL are equal. */
  readonly identity: string;
  /** Spreads the targets over their interval and over lanes. */
  readonly hash: number;
}

export type TargetHealth = "unknown" | "up" | "down";

/** How the last scrape went. */
export interface TargetStatus {
  readonly health: TargetHealth;
  /** Empty when the last scrape succeeded. */
  readonly lastError: string;
  /** Milliseconds since 1970, 0 before the first scrape. */
  readonly lastScrapeMs: number;
  readonly lastDurationSeconds: number;
}

/** What a scrape brought over the wire: an uncompressed page in a buffer that goes back with `release`. */
export interface FetchedPage {
  readonly contentType: string | undefined;
  /** The page is the first `length` bytes. */
  readonly page: Buffer;
  readonly length: number;
  release(): void;
}

/** `own_limit`: the memory that all pages under way may take together. */
export type FetchErrorKind =
  | "network"
  | "timeout"
  | "status"
  | "body_size"
  | "decompress"
  | "target_limit"
  | "own_limit";

/** A scrape that brought no page. */
export class FetchError extends Error {
  readonly kind: FetchErrorKind;

  constructor(kind: FetchErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "FetchError";
    this.kind = kind;
  }
}

/** Gets pages; made once per job from its HTTP settings. */
export interface PageFetcher {
  /** Throws FetchError. Ends by the target's timeout, or when the signal aborts. */
  fetch(target: ScrapeTarget, signal: AbortSignal): Promise<FetchedPage>;
  close(): Promise<void>;
}
