/** The answer of `/api/v1/targets`, as a Prometheus agent gives it. */

import { formatPromDuration } from "../../prometheus/config/prom-duration.ts";
import type { ScrapeLoop } from "../../prometheus/scrape/scrape-loop.ts";
import { isSecretName, redactQuery } from "../../transport/redact-url.ts";
import type { Agent } from "./agent.ts";

const neverScraped = "0001-01-01T00:00:00Z";

export function targetsJson(agent: Agent, query: URLSearchParams) {
  const state = (query.get("state") ?? "any").toLowerCase();
  const wantedPool = query.get("scrapePool");
  const pools = agent.scrapes.pools;
  const chosen = pools.filter((pool) => wantedPool === null || wantedPool === "" || pool.jobName === wantedPool);
  const showActive = state === "any" || state === "active" || state === "";
  const showDropped = state === "any" || state === "dropped" || state === "";
  return {
    activeTargets: showActive ? chosen.flatMap((pool) => pool.loops.map((loop) => activeTarget(loop))) : [],
    droppedTargets: showDropped
      ? chosen.flatMap((pool) =>
          pool.dropped.map((labels) => ({ discoveredLabels: withoutSecrets(labels), scrapePool: pool.jobName })),
        )
      : [],
    droppedTargetCounts: showDropped
      ? Object.fromEntries(pools.map((pool) => [pool.jobName, pool.droppedCount]))
      : null,
  };
}

function activeTarget({ target, status }: ScrapeLoop) {
  return {
    discoveredLabels: withoutSecrets(Object.entries(target.discoveredLabels)),
    labels: Object.fromEntries(target.labels),
    scrapePool: target.jobName,
    scrapeUrl: redactQuery(target.url),
    globalUrl: redactQuery(target.url),
    lastError: status.lastError,
    lastScrape: status.lastScrapeMs === 0 ? neverScraped : new Date(status.lastScrapeMs).toISOString(),
    lastScrapeDuration: status.lastDurationSeconds,
    health: status.health,
    scrapeInterval: formatPromDuration(target.intervalMs),
    scrapeTimeout: formatPromDuration(target.timeoutMs),
  };
}

const paramPrefix = "__param_";

/** Parameters that sound like secrets are hidden, as they are in the URL. */
function withoutSecrets(labels: Iterable<readonly [string, string]>): Record<string, string> {
  return Object.fromEntries(
    Array.from(labels, ([name, value]) => {
      const isSecret = name.startsWith(paramPrefix) && isSecretName(name.slice(paramPrefix.length));
      return [name, isSecret ? "xxxxx" : value];
    }),
  );
}
