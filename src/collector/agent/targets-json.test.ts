/** The answer of /api/v1/targets: active and dropped targets, and which of them a query asks for. */

import { describe, expect, test } from "vitest";
import { createLoopKit } from "../../../test/support/scrape-kit.ts";
import { FetchError } from "../../prometheus/scrape/scrape-target.ts";
import type { Agent } from "./agent.ts";
import { targetsJson } from "./targets-json.ts";

const startMs = 1_700_000_000_000;

function createAgent() {
  const first = createLoopKit({
    startMs,
    target: { jobName: "a", discoveredLabels: { __address__: "host:80", __scheme__: "http" } },
  });
  const second = createLoopKit({ startMs, target: { jobName: "b", intervalMs: 90_000, timeoutMs: 1500 } });
  const pools = [
    { jobName: "a", loops: [first.loop], dropped: [new Map([["__address__", "gone:80"]])], droppedCount: 7 },
    { jobName: "b", loops: [second.loop], dropped: [], droppedCount: 0 },
  ];
  return { agent: { scrapes: { pools } } as unknown as Agent, first, second };
}

const ask = (agent: Agent, query = "") => targetsJson(agent, new URLSearchParams(query));

describe("targetsJson", () => {
  test("hides parameters that sound like secrets", () => {
    const target = {
      url: "http://host:80/probe?module=http&token=hidden",
      discoveredLabels: { __param_module: "http", __param_token: "hidden" },
    };
    const { loop } = createLoopKit({ startMs, target });
    const agent = { scrapes: { pools: [{ jobName: "a", loops: [loop], dropped: [], droppedCount: 0 }] } };
    const [shown] = ask(agent as unknown as Agent).activeTargets;
    expect(shown?.scrapeUrl).toBe("http://host:80/probe?module=http&token=xxxxx");
    expect(shown?.discoveredLabels).toEqual({ __param_module: "http", __param_token: "xxxxx" });
  });

  test("shows a target before its first scrape, as Prometheus writes it", () => {
    const { agent } = createAgent();
    expect(ask(agent).activeTargets).toEqual([
      {
        discoveredLabels: { __address__: "host:80", __scheme__: "http" },
        labels: { instance: "host:80", job: "job" },
        scrapePool: "a",
        scrapeUrl: "http://host:80/metrics",
        globalUrl: "http://host:80/metrics",
        lastError: "",
        lastScrape: "0001-01-01T00:00:00Z",
        lastScrapeDuration: 0,
        health: "unknown",
        scrapeInterval: "10s",
        scrapeTimeout: "5s",
      },
      expect.objectContaining({ scrapePool: "b", scrapeInterval: "1m30s", scrapeTimeout: "1s500ms" }),
    ]);
  });

  test("shows how the last scrape went", async () => {
    const { agent, first, second } = createAgent();
    await first.scrape("a 1\n");
    await second.scrape(new FetchError("status", "server returned HTTP status 500"));
    expect(ask(agent).activeTargets).toMatchObject([
      { health: "up", lastError: "", lastScrape: "2023-11-14T22:13:20.000Z" },
      { health: "down", lastError: "server returned HTTP status 500", lastScrape: "2023-11-14T22:13:20.000Z" },
    ]);
    await second.scrape("b 1\n");
    expect(ask(agent).activeTargets[1]).toMatchObject({ health: "up", lastError: "" });
  });

  test("shows dropped targets and how many there are, whatever is kept of them", () => {
    const { agent } = createAgent();
    const { droppedTargets, droppedTargetCounts } = ask(agent);
    expect(droppedTargets).toEqual([{ discoveredLabels: { __address__: "gone:80" }, scrapePool: "a" }]);
    expect(droppedTargetCounts).toEqual({ a: 7, b: 0 });
  });

  test.each([
    ["", ["a", "b"], 1, true],
    ["state=", ["a", "b"], 1, true],
    ["state=any", ["a", "b"], 1, true],
    ["state=active", ["a", "b"], 0, false],
    ["state=Active", ["a", "b"], 0, false],
    ["state=dropped", [], 1, true],
    ["state=nonsense", [], 0, false],
    ["scrapePool=", ["a", "b"], 1, true],
    ["scrapePool=b", ["b"], 0, true],
    ["scrapePool=b&state=active", ["b"], 0, false],
    ["scrapePool=none", [], 0, true],
  ])("for %j gives the active targets of %j and %i dropped ones", (query, active, dropped, counts) => {
    const { agent } = createAgent();
    const { activeTargets, droppedTargets, droppedTargetCounts } = ask(agent, query);
    expect(activeTargets.map(({ scrapePool }) => scrapePool)).toEqual(active);
    expect(droppedTargets.length).toBe(dropped);
    expect(droppedTargetCounts !== null).toBe(counts);
  });
});
