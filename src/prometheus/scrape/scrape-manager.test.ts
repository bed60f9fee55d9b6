/** Jobs and targets as configuration and discovery change: who is scraped, what is remembered, who goes stale when. */

import { afterEach, describe, expect, test } from "vitest";
import {
  type Answer,
  answering,
  describeBatch,
  type MetricsRecord,
  recordMetrics,
} from "../../../test/support/scrape-kit.ts";
import { Identities } from "../../model/identities.ts";
import { createFakeClock, type FakeClock } from "../../testing/fake-clock.ts";
import { testDecode } from "../config/test-decode.ts";
import { createScrapeOrigin } from "../translation/scrape-origin.ts";
import { LabelSetMarks } from "./label-set-marks.ts";
import { PageTurns } from "./page-turns.ts";
import { defaultOwnLimits } from "./scrape-environment.ts";
import { ScrapeManager } from "./scrape-manager.ts";
import { FetchError, type ScrapeTarget } from "./scrape-target.ts";

interface Kit {
  readonly manager: ScrapeManager;
  readonly clock: FakeClock;
  readonly identities: Identities;
  readonly metrics: MetricsRecord;
  /** Lines without report series, in order of delivery, as `instance: line`. */
  readonly lines: string[];
  readonly failures: string[];
  fetchers: number;
  answer: (target: ScrapeTarget, signal: AbortSignal) => Answer | Promise<Answer>;
  apply(jobs: string): Promise<void>;
  /** Scrapes that were started, by instance. */
  readonly scrapes: string[];
  up(instance: string): string | undefined;
  readonly all: string[];
}

const kits: Kit[] = [];

afterEach(async () => {
  for (const kit of kits.splice(0)) await kit.manager.close(AbortSignal.abort());
});

const pageOf = "a 1\nb 1\n";

function createKit(more: { scrapeOnShutdown?: boolean } = {}): Kit {
  const clock = createFakeClock(1_000_000_000);
  const identities = new Identities();
  const metrics = recordMetrics();
  const all: string[] = [];
  const failures: string[] = [];
  const scrapes: string[] = [];
  const manager = new ScrapeManager(
    {
      identities,
      marks: new LabelSetMarks(),
      turns: new PageTurns(),
      metrics,
      clock,
      ownLimits: defaultOwnLimits,
      externalLabels: [],
      readsOtlp: false,
      ...more,
      createFetcher: () => {
        kit.fetchers++;
        const fetcher = answering((target, signal) => {
          scrapes.push(`${instanceOf(target)} @${clock.now()}`);
          return kit.answer(target, signal);
        });
        return { fetch: fetcher.fetch, close: async () => void kit.fetchers-- };
      },
      createOrigin: (target) =>
        createScrapeOrigin({
          identities,
          lane: target.hash,
          targetLabels: target.labels,
          discoveredLabels: [],
          scopeName: "",
          scopeVersion: "",
        }),
      deliver: async (batch) => {
        const labels = batch.segments[0]?.form === "samples" ? batch.segments[0].layout.labels : undefined;
        const instance = new Map(identities.labels(labels?.[0] ?? 0)).get("instance");
        all.push(...describeBatch(identities, batch).map((line) => `${instance}: ${line}`));
      },
      scrapeFailed: (_target, error) => failures.push(error.message),
      batchRefused: () => {},
      targetFailed: () => {},
      targetsChanged: () => {},
      loopBroken: (_target, error) => failures.push(String(error)),
    },
    {
      createHttpClient: () => {
        throw new Error("no HTTP discovery here");
      },
      log: { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} } as never,
    },
  );
  const kit: Kit = {
    manager,
    clock,
    identities,
    metrics,
    all,
    failures,
    scrapes,
    fetchers: 0,
    answer: () => pageOf,
    get lines() {
      return all.filter((line) => !/: (up|scrape_\w+) [\d.]/.test(line));
    },
    async apply(jobs) {
      const { config, issues } = testDecode(`scrape_configs:\n${jobs}`);
      if (config === undefined) throw new Error(issues.join("\n"));
      const done = manager.apply(config);
      await clock.advance(0);
      await done;
      await clock.advance(0);
    },
    up: (instance) => all.findLast((line) => line.startsWith(`${instance}: up `))?.split(" ")[2],
  };
  kits.push(kit);
  return kit;
}

const instanceOf = (target: ScrapeTarget) => new Map(target.labels).get("instance") ?? "?";

const job = (name: string, targets: string, more = "") =>
  `- {job_name: ${name}, scrape_interval: 10s, scrape_timeout: 5s, ${more} static_configs: [{targets: [${targets}]}]}\n`;

const staleOf = (kit: Kit) =>
  kit.all.filter((line) => line.includes(" stale ")).map((line) => line.replace(/ @\d+$/, ""));

describe("targets", () => {
  test("every target of every job is scraped once an interval, at an offset of its own", async () => {
    const kit = createKit();
    await kit.apply(job("x", "'h1:1', 'h2:1'") + job("y", "'h3:1'"));
    await kit.clock.advance(39_999);
    const byInstance = Map.groupBy(kit.scrapes, (scrape) => scrape.split(" ")[0]);
    expect([...byInstance.keys()].sort()).toEqual(["h1:1", "h2:1", "h3:1"]);
    for (const times of byInstance.values()) {
      expect(times.length).toBe(4);
      const offsets = new Set(times.map((time) => Number(time.split("@")[1]) % 10_000));
      expect(offsets.size).toBe(1);
    }
    expect(kit.manager.pools.map(({ jobName, loops }) => [jobName, loops.length])).toEqual([
      ["x", 2],
      ["y", 1],
    ]);
  });

  test("targets that cannot be made of what discovery found are counted", async () => {
    const kit = createKit();
    const rule =
      "relabel_configs: [{source_labels: [__address__], regex: '(bad.*)', target_label: __scrape_interval__}],";
    await kit.apply(job("x", "'h1:1', 'bad1:1', 'bad2:1'", rule) + job("y", "'h3:1'"));
    expect(kit.manager.pools.map((pool) => [pool.loops.length, pool.syncFailures])).toEqual([
      [1, 2],
      [1, 0],
    ]);
  });

  test("a target that is gone: its series and its report go stale at its next due time, after 2.1 intervals", async () => {
    const kit = createKit();
    await kit.apply(job("x", "'h1:1', 'h2:1'"));
    await kit.clock.advance(10_000);
    const last = Number(kit.scrapes.find((line) => line.startsWith("h2:1"))?.split("@")[1]);
    await kit.apply(job("x", "'h1:1'"));
    await kit.clock.advance(20_999);
    expect(staleOf(kit)).toEqual([]);
    await kit.clock.advance(2);
    const markers = kit.all.filter((line) => line.includes(" stale "));
    expect(markers.every((line) => line.endsWith(` @${last + 10_000}`))).toBe(true);
    expect(staleOf(kit).sort()).toEqual(
      [
        ...["a", "b", "scrape_duration_seconds", "scrape_samples_post_metric_relabeling", "scrape_samples_scraped"],
        ...["scrape_series_added", "up"],
      ].map((name) => `h2:1: ${name} stale`),
    );
    await kit.clock.advance(60_000);
    expect(staleOf(kit).length).toBe(7);
  });

  test("a target that is gone in the middle of a scrape: its markers come after what that scrape brought", async () => {
    const kit = createKit();
    await kit.apply(job("x", "'h1:1', 'h2:1'"));
    kit.answer = async (target) => {
      if (instanceOf(target) === "h2:1") await kit.clock.sleep(3000);
      return pageOf;
    };
    while (!kit.scrapes.some((line) => line.startsWith("h2:1"))) await kit.clock.advance(100);
    const due = Number(kit.scrapes.find((line) => line.startsWith("h2:1"))?.split("@")[1]);
    const applying = kit.apply(job("x", "'h1:1'"));
    await kit.clock.advance(40_000);
    await applying;
    const lines = kit.lines.filter((line) => line.startsWith("h2:1: a "));
    expect(lines).toEqual([`h2:1: a 1 @${due}`, `h2:1: a stale @${due + 10_000}`]);
  });

  test("series that live on through another target get no marker", async () => {
    const kit = createKit();
    const relabel = "honor_labels: true, relabel_configs: [{target_label: instance, replacement: same}],";
    await kit.apply(job("x", "'h1:1', 'h2:1'", relabel));
    await kit.clock.advance(10_000);
    kit.answer = ({ url }) => (url.includes("h1") ? "a 1\n" : pageOf);
    await kit.apply(job("x", "'h1:1'", relabel));
    await kit.clock.advance(40_000);
    expect([...new Set(staleOf(kit))]).toEqual(["same: b stale"]);
  });

  test("a target that comes back before its markers are due gets none", async () => {
    const kit = createKit();
    await kit.apply(job("x", "'h1:1', 'h2:1'"));
    await kit.clock.advance(10_000);
    await kit.apply(job("x", "'h1:1'"));
    await kit.clock.advance(5_000);
    await kit.apply(job("x", "'h1:1', 'h2:1'"));
    await kit.clock.advance(60_000);
    expect(staleOf(kit)).toEqual([]);
  });

  test("over target_limit no target is asked, all are down, until the limit fits", async () => {
    const kit = createKit();
    await kit.apply(job("x", "'h1:1', 'h2:1'", "target_limit: 1,"));
    await kit.clock.advance(10_000);
    expect([kit.scrapes, kit.up("h1:1"), kit.up("h2:1")]).toEqual([[], "0", "0"]);
    expect(kit.failures[0]).toContain("target_limit exceeded (number of targets: 2, limit: 1)");
    await kit.apply(job("x", "'h1:1', 'h2:1'", "target_limit: 2,"));
    await kit.clock.advance(10_000);
    expect([kit.up("h1:1"), kit.up("h2:1")]).toEqual(["1", "1"]);
  });
});

describe("a reload", () => {
  test("of the same configuration disturbs nothing", async () => {
    const kit = createKit();
    const jobs = job("x", "'h1:1'");
    await kit.apply(jobs);
    await kit.clock.advance(10_000);
    const loop = kit.manager.pools[0]?.loops[0];
    await kit.apply(jobs);
    expect(kit.manager.pools[0]?.loops[0]).toBe(loop);
    expect(kit.fetchers).toBe(1);
  });

  test.each([
    ["the interval", "scrape_interval: 20s,"],
    ["sample_limit", "sample_limit: 1000,"],
    ["HTTP settings", "basic_auth: {username: u, password: p},"],
  ])("that changes only %s keeps caches and staleness", async (_what, more) => {
    const kit = createKit();
    await kit.apply(job("x", "'h1:1'"));
    await kit.clock.advance(10_000);
    const page = kit.manager.pools[0]?.loops[0]?.page;
    await kit.apply(job("x", "'h1:1'", more).replace(more.startsWith("scrape_i") ? "scrape_interval: 10s, " : "@", ""));
    expect(kit.manager.pools[0]?.loops[0]?.page).toBe(page);
    expect(kit.fetchers).toBe(1);
    kit.answer = () => "a 2\n";
    await kit.clock.advance(20_000);
    expect(staleOf(kit)).toEqual(["h1:1: b stale"]);
    expect(kit.all.filter((line) => line.includes("scrape_series_added 2")).length).toBe(1);
  });

  test("loses no scrape and makes none twice", async () => {
    const kit = createKit();
    const jobs = (i: number) => job("x", "'h1:1', 'h2:1'", `sample_limit: ${1000 + i},`);
    await kit.apply(jobs(0));
    for (let i = 1; i <= 40; i++) {
      await kit.clock.advance(i % 2 === 0 ? 700 : 1300);
      await kit.apply(jobs(i));
    }
    for (const instance of ["h1:1", "h2:1"]) {
      const times = kit.scrapes.filter((line) => line.startsWith(instance)).map((line) => Number(line.split("@")[1]));
      expect(times.length).toBe(4);
      expect(times.slice(1).map((time, i) => time - (times[i] ?? 0))).toEqual([10_000, 10_000, 10_000]);
    }
  });

  test("at the moment of a scrape makes it once", async () => {
    const kit = createKit();
    await kit.apply(job("x", "'h1:1'"));
    while (kit.scrapes.length === 0) await kit.clock.advance(1);
    await kit.apply(job("x", "'h1:1'", "sample_limit: 50,"));
    await kit.clock.advance(100);
    expect(kit.scrapes.length).toBe(1);
  });

  test("does not let targets wait for one that hangs", async () => {
    const kit = createKit();
    await kit.apply(job("x", "'h1:1', 'h2:1'"));
    kit.answer = async (target, signal) => {
      if (instanceOf(target) === "h1:1") await kit.clock.sleep(30_000, signal);
      return pageOf;
    };
    while (!kit.scrapes.some((line) => line.startsWith("h1:1"))) await kit.clock.advance(100);
    const before = kit.scrapes.filter((line) => line.startsWith("h2:1")).length;
    const applying = kit.apply(job("x", "'h1:1', 'h2:1'", "sample_limit: 50,"));
    await kit.clock.advance(20_000);
    expect(kit.scrapes.filter((line) => line.startsWith("h2:1")).length).toBe(before + 2);
    await kit.clock.advance(20_000);
    await applying;
  });

  test("that changes what the caches depend on starts anew; live series get no marker, others do", async () => {
    const kit = createKit();
    await kit.apply(job("x", "'h1:1'"));
    await kit.clock.advance(10_000);
    await kit.apply(
      job("x", "'h1:1'", "metric_relabel_configs: [{source_labels: [__name__], regex: b, action: drop}],"),
    );
    await kit.clock.advance(30_000);
    expect(staleOf(kit)).toEqual(["h1:1: b stale"]);
  });

  test("that removes a job writes no markers", async () => {
    const kit = createKit();
    await kit.apply(job("x", "'h1:1'") + job("y", "'h2:1'"));
    await kit.clock.advance(10_000);
    await kit.apply(job("y", "'h2:1'"));
    await kit.clock.advance(60_000);
    expect(staleOf(kit)).toEqual([]);
    expect(kit.fetchers).toBe(1);
  });

  test("that removes a job whose target has just gone writes no markers either", async () => {
    const kit = createKit();
    await kit.apply(job("x", "'h1:1', 'h2:1'") + job("y", "'h3:1'"));
    await kit.clock.advance(10_000);
    await kit.apply(job("x", "'h1:1'") + job("y", "'h3:1'"));
    await kit.apply(job("y", "'h3:1'"));
    await kit.clock.advance(60_000);
    expect(staleOf(kit)).toEqual([]);
  });
});

describe("shutdown", () => {
  test("writes no markers, ends all sleeps and closes every fetcher; works twice", async () => {
    const kit = createKit();
    await kit.apply(job("x", "'h1:1', 'h2:1'"));
    await kit.clock.advance(10_000);
    await kit.apply(job("x", "'h1:1'"));
    const deadline = new AbortController().signal;
    await Promise.all([kit.manager.close(deadline), kit.manager.close(deadline)]);
    await kit.clock.advance(60_000);
    expect([staleOf(kit), kit.clock.sleepers, kit.fetchers]).toEqual([[], 0, 0]);
  });

  test("scrapes every target once more with scrape_on_shutdown, but not when a job is removed", async () => {
    const kit = createKit({ scrapeOnShutdown: true });
    await kit.apply(job("x", "'h1:1'") + job("y", "'h2:1'"));
    await kit.clock.advance(10_000);
    const before = kit.scrapes.length;
    await kit.apply(job("x", "'h1:1'"));
    expect(kit.scrapes.length).toBe(before);
    await kit.manager.close(new AbortController().signal);
    expect(kit.scrapes.slice(before)).toEqual([`h1:1 @${kit.clock.now()}`]);
  });

  test("lets a scrape under way finish before the deadline, and cuts it off there", async () => {
    for (const [stay, delivered] of [
      [1000, 1],
      [60_000, 0],
    ] as const) {
      const kit = createKit();
      await kit.apply(job("x", "'h1:1'"));
      kit.answer = async (_target, signal) => {
        await kit.clock.sleep(stay, signal);
        return signal.aborted ? new FetchError("network", "aborted") : pageOf;
      };
      while (kit.scrapes.length === 0) await kit.clock.advance(100);
      const deadline = new AbortController();
      const closing = kit.manager.close(deadline.signal);
      await kit.clock.advance(2000);
      deadline.abort();
      await closing;
      expect(kit.all.filter((line) => line.includes(": up ")).length).toBe(delivered);
    }
  });
});

test("a sweep of the tables while targets come and go frees nothing that is owed a marker", async () => {
  const kit = createKit();
  await kit.apply(job("x", "'h1:1', 'h2:1'"));
  await kit.clock.advance(10_000);
  kit.answer = (target) => (instanceOf(target) === "h1:1" ? "c 1\n{\n" : pageOf);
  await kit.clock.advance(10_000);
  await kit.apply(job("x", "'h1:1'"));
  kit.identities.sweep(true);
  for (let i = 0; i < 50; i++) kit.identities.internLabels([["__name__", `other${i}`]]);
  kit.answer = () => "d 1\n";
  await kit.clock.advance(40_000);
  expect(
    staleOf(kit)
      .filter((line) => /: [a-d] /.test(line))
      .sort(),
  ).toEqual([...["h1:1: a stale", "h1:1: b stale", "h1:1: c stale", "h2:1: a stale", "h2:1: b stale"]]);
});
