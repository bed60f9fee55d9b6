/** What a scrape hands on: samples, stale markers, report series; and when it happens. */

import { describe, expect, test } from "vitest";
import { createLoopKit, type LoopKit, openMetricsType, textType } from "../../../test/support/scrape-kit.ts";
import { FetchError } from "./scrape-target.ts";

const now = 1_000_000;
const down = new FetchError("network", "connection refused");
const page = (...lines: string[]) => lines.map((line) => `${line}\n`).join("");

/** Every scrape an interval after the one before. */
async function scrapeAll(kit: LoopKit, answers: Parameters<LoopKit["scrape"]>[0][]): Promise<string[][]> {
  const all: string[][] = [];
  for (const [i, answer] of answers.entries()) {
    if (i > 0) await kit.clock.advance(kit.loop.target.intervalMs);
    all.push((await kit.scrape(answer)).map((line) => line.replace(/ @10\d0000$/, "")));
  }
  return all;
}

describe("staleness", () => {
  test.each([
    {
      what: "a series that is gone gets one marker",
      answers: [page("a 1", "b 1"), page("a 2"), page("a 3")],
      delivered: [["a 1", "b 1"], ["a 2", "b stale"], ["a 3"]],
    },
    {
      what: "a failed scrape marks all, the next one none, and they come back",
      answers: [page("a 1", "b 1"), down, down, page("a 2")],
      delivered: [["a 1", "b 1"], ["a stale", "b stale"], [], ["a 2"]],
    },
    {
      what: "an empty page marks all",
      answers: [page("a 1"), "", ""],
      delivered: [["a 1"], ["a stale"], []],
    },
    {
      what: "a page that breaks: series before the fault get no marker, those not reached do, and what was read is tracked",
      answers: [page("a 1", "b 1", "c 1"), page("a 2", "new 1", "{", "b 2", "c 2"), page("c 3")],
      delivered: [
        ["a 1", "b 1", "c 1"],
        ["b stale", "c stale"],
        ["c 3", "a stale", "new stale"],
      ],
    },
    {
      what: "a content type that nobody reads fails the scrape",
      answers: [page("a 1"), { page: page("a 2"), contentType: "application/json" }],
      delivered: [["a 1"], ["a stale"]],
    },
    {
      what: "series with times of their own take no part",
      answers: [page("a 1 5000", "b 1"), page("x 1"), page("a 1 6000"), down],
      delivered: [["a 1 @5000", "b 1"], ["x 1", "b stale"], ["a 1 @6000", "x stale"], []],
    },
    {
      what: "series with times of their own take no part in a page that breaks",
      answers: [page("a 1 5000", "b 1"), page("a 2 6000", "b 2", "{"), page("a 3 7000", "b 3"), page("x 1")],
      delivered: [["a 1 @5000", "b 1"], [], ["a 3 @7000", "b 3"], ["x 1", "b stale"]],
    },
  ])("$what", async ({ answers, delivered }) => {
    expect(await scrapeAll(createLoopKit(), answers)).toEqual(delivered);
  });

  test("track_timestamps_staleness: series with times of their own go stale too", async () => {
    const kit = createLoopKit({ settings: { trackTimestampsStaleness: true } });
    const answers = [page("a 1 5000"), page("b 1"), page("a 1 5000", "{"), page("c 1")];
    expect(await scrapeAll(kit, answers)).toEqual([["a 1 @5000"], ["b 1", "a stale"], ["b stale"], ["c 1", "a stale"]]);
  });

  test("honor_timestamps: false: times of the page are ignored, and staleness follows", async () => {
    const kit = createLoopKit({ settings: { honorTimestamps: false } });
    expect(await scrapeAll(kit, [page("a 1 5000", "a 2 6000"), page("b 1 7000")])).toEqual([
      ["a 1"],
      ["b 1", "a stale"],
    ]);
    expect(kit.metrics.dropped).toEqual({ duplicate_timestamp: 1 });
  });

  test("a page over sample_limit: series within the limit get no marker", async () => {
    const kit = createLoopKit({ limits: { samples: 2 } });
    expect(await scrapeAll(kit, [page("c 1", "b 1"), page("a 1", "b 2", "c 2")])).toEqual([
      ["c 1", "b 1"],
      ["c stale"],
    ]);
    expect(kit.metrics.exceeded).toEqual(["sample_limit"]);
    expect([kit.report("up"), kit.report("scrape_samples_scraped")]).toEqual([0, 3]);
  });

  test("markers of a batch that nobody took go with the next", async () => {
    const kit = createLoopKit();
    await kit.scrape(page("a 1", "b 1"));
    kit.refuses = true;
    expect(await kit.scrape(page("a 2", "c 1"))).toEqual([]);
    expect(kit.refusals).toEqual(["refused"]);
    // Two samples and five of the report are lost; the marker of b is not.
    expect(kit.metrics.dropped).toEqual({ refused: 7 });
    kit.refuses = false;
    await kit.clock.advance(10_000);
    // c was never delivered, so nothing is owed to it; b is, at the time of this scrape.
    expect(await kit.scrape(page("a 3"))).toEqual(["a 3 @1010000", "b stale @1010000"]);
    expect(await kit.scrape(page("a 4"))).toEqual(["a 4 @1010000"]);
  });

  test("a series that came back before its marker was taken gets none", async () => {
    const kit = createLoopKit();
    await kit.scrape(page("a 1", "b 1"));
    kit.refuses = true;
    await kit.scrape(page("a 2"));
    kit.refuses = false;
    expect(await kit.scrape(page("a 3", "b 3"))).toEqual(["a 3 @1000000", "b 3 @1000000"]);
  });

  test("what was read of a broken page keeps its numbers while the batch is under way", async () => {
    const kit = createLoopKit();
    await kit.scrape(page("a 1"));
    kit.answer = () => page("a 2", "fresh 1", "{");
    const scraping = kit.loop.scrape(now, new AbortController().signal);
    kit.identities.addRoots(() => kit.loop.liveLabelSets);
    await Promise.resolve();
    await scraping;
    kit.identities.sweep(true);
    kit.identities.internLabels([["__name__", "other"]]);
    expect(await kit.scrape(page("a 3"))).toEqual(["a 3 @1000000", "fresh stale @1000000"]);
  });
});

describe("report series", () => {
  test("of a good page, and of one whose series are known", async () => {
    const kit = createLoopKit();
    await kit.scrape(page("a 1", "a 2", "b 1"));
    expect(kit.batches.at(-1)?.slice(-5)).toEqual([
      "up 1 @1000000",
      "scrape_duration_seconds 0 @1000000",
      "scrape_samples_scraped 3 @1000000",
      "scrape_samples_post_metric_relabeling 3 @1000000",
      "scrape_series_added 2 @1000000",
    ]);
    await kit.scrape(page("a 1", "b 1", "c 1"));
    expect(kit.report("scrape_series_added")).toBe(1);
    expect(kit.metrics.dropped).toEqual({ duplicate_timestamp: 1 });
  });

  test.each([
    { what: "a page", answer: page("a 1"), up: 1, bytes: 4 },
    { what: "an empty page, whatever its type", answer: { page: "", contentType: undefined }, up: 1, bytes: 0 },
    { what: "a target that does not answer", answer: down, up: 0, bytes: 0 },
    { what: "a page over body_size_limit", answer: new FetchError("body_size", "too large"), up: 0, bytes: -1 },
    { what: "a page that breaks", answer: page("a 1", "{"), up: 0, bytes: 6 },
    { what: "a page without a type", answer: { page: page("a 1"), contentType: undefined }, up: 0, bytes: 4 },
  ])("extra series of $what", async ({ answer, up, bytes }) => {
    const kit = createLoopKit({ settings: { extraScrapeMetrics: true, sampleLimit: 9 } });
    await kit.scrape(answer);
    const values = ["up", "scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"].map((name) =>
      kit.report(name),
    );
    expect(values).toEqual([up, 5, 9, bytes]);
    expect(kit.failures.length).toBe(1 - up);
  });

  test("carry the external labels of a receiver, over the target's own", async () => {
    const kit = createLoopKit({
      target: {
        labels: [
          ["cluster", "of the target"],
          ["job", "job"],
        ],
      },
      settings: { externalLabels: [["cluster", "outside"]] },
    });
    await kit.scrape(page("a 1"));
    expect(kit.batches.at(-1)).toContainEqual(expect.stringMatching(/^up.*cluster[=:"]+outside.* 1 @/));
  });

  test("tell how far a page was read that broke", async () => {
    const kit = createLoopKit();
    await kit.scrape(page("a 1", "b 1"));
    await kit.scrape(page("a 1", "c 1", "d 1", "{"));
    const names = ["up", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added"];
    expect(names.map((name) => kit.report(name))).toEqual([0, 3, 3, 2]);
    expect(kit.loop.status).toMatchObject({
      health: "down",
      lastError: expect.stringContaining("line 4"),
      lastScrapeMs: now,
    });
  });

  test("duration is the time that scraping took", async () => {
    const kit = createLoopKit();
    kit.answer = async () => {
      await kit.clock.sleep(1500);
      return page("a 1");
    };
    const done = kit.loop.scrape(now, new AbortController().signal);
    await kit.clock.advance(1500);
    await done;
    expect(kit.report("scrape_duration_seconds")).toBe(1.5);
    expect(kit.batches.at(-1)?.[0]).toBe("a 1 @1000000");
  });
});

describe("formats", () => {
  test.each([
    { contentType: textType, fallback: undefined, text: "a 1\n", up: 1 },
    { contentType: "text/plain", fallback: undefined, text: "a 1\n# EOF\n", up: 1 },
    { contentType: openMetricsType, fallback: undefined, text: "a 1\n# EOF\n", up: 1 },
    { contentType: openMetricsType, fallback: undefined, text: "a 1\n", up: 0 },
    { contentType: "application/json", fallback: "PrometheusText0.0.4", text: "a 1\n", up: 1 },
    { contentType: undefined, fallback: "OpenMetricsText1.0.0", text: "a 1\n", up: 0 },
    { contentType: "application/vnd.google.protobuf", fallback: "PrometheusText0.0.4", text: "a 1\n", up: 0 },
    { contentType: "", fallback: undefined, text: "a 1\n", up: 0 },
  ] as const)("$contentType with fallback $fallback", async ({ contentType, fallback, text, up }) => {
    const kit = createLoopKit({ settings: { fallbackProtocol: fallback } });
    await kit.scrape({ page: text, contentType });
    expect(kit.report("up")).toBe(up);
  });

  test("a target may change its format from scrape to scrape", async () => {
    const kit = createLoopKit();
    for (const [contentType, text, up] of [
      [textType, "a 1\n", 1],
      [openMetricsType, "a 1\n", 0],
      [openMetricsType, "a 1\n# EOF\n", 1],
      [textType, "a 1\n# EOF\n", 1],
      [openMetricsType, "a 1\n# EOF\n", 1],
    ] as const) {
      await kit.scrape({ page: text, contentType });
      expect(kit.report("up")).toBe(up);
    }
  });
});

describe("times of samples", () => {
  test("those more than ten minutes ahead are dropped and counted", async () => {
    const kit = createLoopKit();
    expect(await kit.scrape(page(`a 1 ${now + 600_000}`, `b 1 ${now + 600_001}`, "c 1"))).toEqual([
      "a 1 @1600000",
      "c 1 @1000000",
    ]);
    expect(kit.metrics.dropped).toEqual({ out_of_bounds: 1 });
    expect(kit.report("scrape_samples_scraped")).toBe(3);
  });

  test.each([
    { lateMs: 0, interval: 10_000, time: now },
    { lateMs: 2, interval: 10_000, time: now },
    { lateMs: 3, interval: 10_000, time: now + 3 },
    { lateMs: 1, interval: 100, time: now },
    { lateMs: 2, interval: 100, time: now + 2 },
  ])(
    "a scrape $lateMs ms late at an interval of $interval ms has the time $time",
    async ({ lateMs, interval, time }) => {
      const kit = createLoopKit({ target: { intervalMs: interval } });
      kit.answer = () => page("a 1");
      await kit.clock.advance(lateMs);
      await kit.loop.scrape(now, new AbortController().signal);
      expect(kit.batches[0]?.[0]).toBe(`a 1 @${time}`);
    },
  );
});

describe("the schedule", () => {
  test("scrapes in the slot of the target's offset, every interval, until it is stopped", async () => {
    const kit = createLoopKit({ target: { hash: 12_345 } });
    kit.answer = () => page("a 1");
    const stop = new AbortController();
    const running = kit.loop.run(stop.signal, new AbortController().signal);
    await kit.clock.advance(35_000);
    expect(kit.batches.map((lines) => lines[0])).toEqual([
      "a 1 @1002000",
      "a 1 @1012000",
      "a 1 @1022000",
      "a 1 @1032000",
    ]);
    expect(kit.loop.nextDueMs).toBe(1_042_000);
    stop.abort();
    await running;
    expect(kit.clock.sleepers).toBe(0);
  });

  test("begins later by initial_scrape_offset, and keeps that place", async () => {
    const kit = createLoopKit({ target: { hash: 0 }, settings: { initialOffsetMs: 3000 } });
    kit.answer = () => page("a 1");
    const stop = new AbortController();
    const running = kit.loop.run(stop.signal, new AbortController().signal);
    await kit.clock.advance(15_000);
    stop.abort();
    await running;
    expect(kit.batches.map((lines) => lines[0])).toEqual(["a 1 @1003000", "a 1 @1013000"]);
  });

  test("of the ticks that a slow scrape missed one is made up for, and the grid stays", async () => {
    const kit = createLoopKit();
    let scrapes = 0;
    kit.answer = async () => {
      if (scrapes++ === 0) await kit.clock.sleep(35_000);
      return page("a 1");
    };
    const stop = new AbortController();
    const running = kit.loop.run(stop.signal, new AbortController().signal);
    await kit.clock.advance(50_000);
    stop.abort();
    await running;
    expect(kit.batches.map((lines) => lines[0])).toEqual([
      "a 1 @1000000",
      "a 1 @1035000",
      "a 1 @1040000",
      "a 1 @1050000",
    ]);
    expect(kit.metrics.missed).toBe(2);
  });

  test("a scrape under way when the loop is stopped is finished; the next due time is the one after it", async () => {
    const kit = createLoopKit();
    kit.answer = async () => {
      await kit.clock.sleep(1000);
      return page("a 1");
    };
    const stop = new AbortController();
    const running = kit.loop.run(stop.signal, new AbortController().signal);
    await kit.clock.advance(500);
    stop.abort();
    await kit.clock.advance(500);
    await running;
    expect(kit.batches.length).toBe(1);
    expect(kit.loop.nextDueMs).toBe(now + 10_000);
  });

  test("a scrape that a shutdown cuts off leaves no trace", async () => {
    const kit = createLoopKit();
    await kit.scrape(page("a 1"));
    kit.answer = (_target, signal) =>
      new Promise((resolve) => signal.addEventListener("abort", () => resolve(new FetchError("network", "aborted"))));
    const kill = new AbortController();
    const scraping = kit.loop.scrape(now, kill.signal);
    kill.abort();
    await scraping;
    expect([kit.batches.length, kit.failures.length, kit.loop.status.health]).toEqual([1, 0, "up"]);
  });

  test.each([
    { what: "fail", answer: new FetchError("network", "refused") },
    { what: "bring an empty page", answer: { page: "", contentType: undefined } },
    { what: "bring a page without a type", answer: { page: page("a 1"), contentType: undefined } },
    { what: "bring a page that breaks", answer: page("a 1", "{") },
  ])("scrapes that $what count among the ten after which families are forgotten", async ({ answer }) => {
    const kit = createLoopKit();
    await kit.scrape(page("# TYPE a counter", "a 1"));
    for (let i = 0; i < 10; i++) await kit.scrape(answer);
    expect(kit.loop.page.metadata.families.size).toBe(1);
    await kit.scrape(page("a 1"));
    expect(kit.loop.page.metadata.families.size).toBe(0);
  });

  test("a page that has no room beside others is counted under its limit", async () => {
    const kit = createLoopKit();
    await kit.scrape(new FetchError("own_limit", "no room"));
    expect(kit.metrics.exceeded).toEqual(["own_limit"]);
    expect(kit.loop.status).toMatchObject({ health: "down", lastError: "no room" });
  });

  test("a target over target_limit is not asked", async () => {
    const kit = createLoopKit();
    await kit.scrape(page("a 1"));
    kit.loop.blockedBy = "target_limit exceeded";
    let asked = false;
    kit.answer = () => {
      asked = true;
      return "";
    };
    await kit.loop.scrape(now, new AbortController().signal);
    expect([asked, kit.report("up"), kit.batches.at(-1)?.[0]]).toEqual([false, 0, "a stale @1000000"]);
    expect(kit.loop.status.lastError).toBe("target_limit exceeded");
  });
});

test("a page whose rows belong to no job fails where rows are read the OTLP way", async () => {
  const kit = createLoopKit({ readsOtlp: true, target: { labels: [] } });
  await kit.scrape(page("a 1"));
  expect([kit.report("up"), kit.failures[0]]).toEqual([0, "job or instance cannot be found from labels"]);
  await kit.scrape(page('a{job="j",instance="i"} 1'));
  expect(kit.report("up")).toBe(1);
});
