/** What the bench concludes from its figures. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { takenPages } from "../bench/crash/taken-pages.ts";
import { tallySeries } from "../bench/crash/tally.ts";
import { UnderWay } from "../bench/crash/under-way.ts";
import { judge, type Measured, missingPeers } from "../bench/scrape/bars.ts";
import { drawChart } from "../bench/scrape/chart.ts";
import { delayP99Ms } from "../bench/scrape/event-loop.ts";
import { completeFigures, cpuPerMillion, type Figures, medians } from "../bench/scrape/figures.ts";
import { growthOf } from "../bench/scrape/memory.ts";
import { excesses, expectedParts, partsOf } from "../bench/scrape/memory-parts.ts";
import { parseOptions } from "../bench/scrape/options.ts";
import { type Mode, parseRowName, parseShape, type Row, rowName, rowOf, tableRows } from "../bench/scrape/rows.ts";

const plain = rowOf(parseShape("100x5000"), "identity", "plain");

function figures(cpu: number, others: Partial<Figures> = {}): Figures {
  return completeFigures({ cpuUserPerMillion: cpu, cpuSystemPerMillion: 0, ...others });
}

function peer(name: Measured["name"], cpu: number, others: Partial<Figures> = {}, decides = true): Measured {
  return { name, decides, figures: figures(cpu, others) };
}

function verdicts(row: Row, millrace: Figures, others: readonly Measured[]): string[] {
  return judge(row, millrace, others).map(({ title, holds }) => `${holds ? "PASS" : "FAIL"} ${title}`);
}

describe("bars", () => {
  test.each<[title: string, row: Row, mine: Figures, others: Measured[], expected: RegExp[]]>([
    [
      "the best peer that decides is the measure",
      rowOf(parseShape("500x1000"), "identity", "plain"),
      figures(0.5),
      [peer("vmagent", 1.6), peer("prometheus", 2), peer("otelcol", 1, {}, false)],
      [/^PASS CPU per sample as a share of vmagent's, the best of vmagent, prometheus$/],
    ],
    [
      "a third is not reached",
      rowOf(parseShape("500x1000"), "identity", "plain"),
      figures(0.6),
      [peer("vmagent", 1.6)],
      [/^FAIL CPU/],
    ],
    [
      "memory and bytes belong to the main row, and vmagent's memory is not asked for",
      plain,
      figures(0.3, { maxKbPerSeries: 0.5, bytesPerSample: 36 }),
      [
        peer("vmagent", 1.6, { maxKbPerSeries: 0.3, bytesPerSample: 20 }),
        peer("prometheus", 2, { maxKbPerSeries: 1.6, bytesPerSample: 35.7 }),
      ],
      [/^PASS CPU/, /^PASS resident KB/, /^PASS resident memory as a share of prometheus's/, /^FAIL bytes on the wire/],
    ],
    [
      "`millrace run` is compared with otelcol and with the agent",
      rowOf(parseShape("100x5000"), "identity", "run"),
      figures(0.6),
      [peer("otelcol", 5.6), peer("agent", 0.4)],
      [/^PASS CPU per sample as a share of otelcol's/, /^FAIL CPU per sample as a share of agent's/],
    ],
    [
      "another build of Millrace is no peer",
      rowOf(parseShape("1000x100"), "identity", "plain"),
      figures(0.6),
      [peer("before", 0.7), peer("vmagent", 3.9)],
      [/^PASS CPU per sample as a share of vmagent's/],
    ],
    [
      "every second: samples, missed scrapes, latency, load",
      rowOf(parseShape("200x5000"), "identity", "second"),
      figures(0.5, { deliveredPerSecond: 1_000_100, missedScrapes: 1, p99Ms: 900, loadShare: 0.5 }),
      [],
      [/^PASS samples a second/, /^FAIL scrapes missed/, /^PASS milliseconds/, /^PASS share of core 1/],
    ],
  ])("%s", (_title, row, mine, others, expected) => {
    const got = verdicts(row, mine, others);
    expect(got).toHaveLength(expected.length);
    for (const [i, pattern] of expected.entries()) expect(got[i]).toMatch(pattern);
  });

  test.each<[mode: Mode, figure: keyof Figures, good: number, bad: number]>([
    ["delay", "eventLoopP99Ms", 19, 21],
    ["churn", "recovery", 1.1, 1.11],
    ["rollout", "recovery", 0.9, 1.2],
    ["soak", "growth", 1.04, 1.06],
  ])("mode %s has a limit of its own, and a figure that is missing fails", (mode, figure, good, bad) => {
    const row = rowOf(parseShape("100x5000"), "identity", mode);
    const holds = (value: number) =>
      judge(row, figures(0.3, { [figure]: value, deliveredPerSecond: 50_000 }), []).every((bar) => bar.holds);
    expect([holds(good), holds(bad), holds(Number.NaN)]).toEqual([true, false, false]);
  });

  test("names the peers that a row needs and that did not decide", () => {
    expect(missingPeers(plain, [peer("vmagent", 1), peer("otelcol", 1, {}, false)])).toEqual(["prometheus", "otelcol"]);
  });
});

describe("figures", () => {
  test("the median leaves out runs that have none", () => {
    const all = [figures(3), figures(Number.NaN), figures(1), figures(2)];
    expect(medians(all).cpuUserPerMillion).toBe(2);
    expect(medians(all).growth).toBeNaN();
  });

  test("the median of the time is that of whole runs, whose user and system time are divided by sampling", () => {
    const divided = [
      [0.2, 0.06],
      [0.22, 0.045],
      [0.205, 0.07],
    ].map(([user, system]) => completeFigures({ cpuUserPerMillion: user, cpuSystemPerMillion: system }));
    expect(cpuPerMillion(medians(divided))).toBeCloseTo(0.265);
  });

  test("growth is that of the highest later minute over the tenth", () => {
    const minutes = [9, 9, 9, 9, 9, 9, 9, 9, 9, 100, 101, 104, 90];
    expect(
      growthOf(
        minutes.flatMap((kb) => new Array<number>(12).fill(kb)),
        5000,
      ),
    ).toBeCloseTo(1.04);
    expect(growthOf(new Array<number>(100).fill(1), 5000)).toBeNaN();
  });

  test("the event loop's percentile is of the window only, within its bucket", () => {
    const infinity = Number.POSITIVE_INFINITY;
    const before = new Map([
      [0.001, 50],
      [0.01, 60],
      [0.02, 60],
      [infinity, 100],
    ]);
    const after = new Map([
      [0.001, 950],
      [0.01, 1000],
      [0.02, 1060],
      [infinity, 1100],
    ]);
    expect(delayP99Ms(before, after)).toBeCloseTo(10 + (50 / 60) * 10, 6);
    expect(delayP99Ms(undefined, after)).toBeNaN();
  });
});

describe("rows", () => {
  test("names are read back", () => {
    for (const row of tableRows) expect(parseRowName(rowName(row), row.intervalS)).toEqual(row);
    expect(parseRowName("100x5000 zstd plain")).toBeUndefined();
  });

  test("options choose rows, and without any the table is meant", () => {
    expect(parseOptions([])?.rows).toBeUndefined();
    expect(parseOptions(["--mode", "rename"])?.rows?.map(rowName)).toEqual(["100x5000 identity rename"]);
    expect(parseOptions(["--soak"])?.rows?.map(rowName)).toEqual(["100x5000 identity soak"]);
    expect(parseOptions(["--soak", "120", "--check"])).toMatchObject({ soakS: 120, check: true });
    expect(() => parseOptions(["--mode", "fast"])).toThrow("--mode: expected one of");
  });
});

describe("memory by part", () => {
  const page = (parts: Readonly<Record<string, number>>) =>
    Object.entries(parts)
      .map(([part, bytes]) => `millrace_memory_bytes{part="${part}"} ${bytes * 500_000}\n`)
      .join("");

  test("the figures are those of docs/memory.md", () => {
    const table = readFileSync(new URL("../docs/memory.md", import.meta.url), "utf8");
    const rows = table.matchAll(/^\| `(\w+)` \| [^|]+ \| ([\d.]+) \|/gm);
    const counted = Object.fromEntries([...rows].map(([, part = "", bytes]) => [part, Number(bytes)]));
    expect(counted).toMatchObject(expectedParts);
  });

  test("a part that is more than 15 % above its figure is named, in the counted row only", () => {
    expect(excesses(partsOf(page(expectedParts)), plain)).toEqual([]);
    const grown = partsOf(page({ ...expectedParts, layouts: 12 }));
    expect(excesses(grown, plain)).toEqual(["memory: layouts takes 12.0 bytes a series, docs/memory.md has 8"]);
    expect(excesses(grown, rowOf(parseShape("500x1000"), "identity", "plain"))).toEqual([]);
  });

  test("a part that is not on the page is named", () => {
    expect(excesses(new Map(), plain)).toHaveLength(Object.keys(expectedParts).length);
  });
});

test("the chart leaves out what was not all delivered, and escapes what it prints", () => {
  const subjects = [
    { name: "millrace", version: "1 <2>", decides: true, figures: figures(0.3, { maxKbPerSeries: 0.5 }), notes: [] },
    { name: "vmagent", version: "1.150", decides: true, figures: figures(1.6, { maxKbPerSeries: 0.4 }), notes: [] },
    { name: "otelcol", version: "0.155", decides: true, figures: figures(5), problem: "lost some", notes: [] },
  ] as const;
  const common = { date: "2026-01-02", machine: "a machine", command: "", runs: 3, windowS: 60, bars: [] };
  const svg = drawChart([{ ...common, row: plain, subjects }]);
  expect(svg).toContain("Millrace 1 &lt;2&gt;, vmagent 1.150");
  expect(svg).not.toContain('class="otelcol"');
  expect(svg.match(/<rect class="millrace"[^>]* height="10"\/>/g)).toHaveLength(4);
});

describe("crash runs", () => {
  const taken = new Set([1, 2, 3]);
  const none = new Map<number, number>();

  test.each<[title: string, arrived: number[], sends: [number, number][], expected: object]>([
    ["all arrive in order", [1, 2, 3], [], { lost: 0, repeated: 0, misplaced: 0 }],
    ["what never arrives is lost", [1, 3], [], { lost: 1, repeated: 0, misplaced: 0, examples: ["lost: 2"] }],
    ["a repeat goes back and is not out of order", [1, 2, 1, 2, 3], [], { lost: 0, repeated: 2, misplaced: 0 }],
    ["a first arrival behind a larger number is out of order", [1, 3, 2], [], { lost: 0, repeated: 0, misplaced: 1 }],
    ["what the sender repeated may arrive as often", [1, 2, 2, 2, 3], [[2, 2]], { lost: 0, repeated: 1, misplaced: 0 }],
    ["what was not taken may arrive", [1, 2, 3, 4], [], { taken: 3, lost: 0, repeated: 0, misplaced: 0 }],
  ])("%s", (_title, arrived, sends, expected) => {
    expect(tallySeries({ taken, arrived, sends: new Map(sends), underWay: none })).toMatchObject(expected);
  });

  test.each<[title: string, arrived: number[], underWay: [number, number][], expected: object]>([
    ["what was under way may come twice", [1, 2, 2, 3], [[2, 1]], { repeated: 1, underWay: 1, unexcused: 0 }],
    ["it need not", [1, 2, 3], [[2, 1]], { repeated: 0, underWay: 1, unexcused: 0 }],
    ["twice under way, three times", [1, 2, 2, 2, 3], [[2, 2]], { repeated: 2, underWay: 2, unexcused: 0 }],
    ["once under way, three times", [1, 2, 2, 2, 3], [[2, 1]], { repeated: 2, underWay: 1, unexcused: 1 }],
    ["what was not under way must not", [1, 2, 1, 2, 3], [[2, 1]], { repeated: 2, underWay: 1, unexcused: 1 }],
  ])("%s", (_title, arrived, underWay, expected) => {
    expect(tallySeries({ taken, arrived, underWay: new Map(underWay) })).toMatchObject(expected);
  });

  test.each<[title: string, arrived: number[], failedMs: number[], excused: number[], expected: number[]]>([
    ["all that arrived are taken", [1, 2, 3, 4], [], [], [1, 2, 3, 4]],
    ["one that is missing was taken", [1, 3, 4], [], [], [1, 2, 3, 4]],
    ["unless its scrape failed", [1, 3, 4], [21], [], [1, 3, 4]],
    ["a scrape that failed elsewhere is no excuse", [1, 3, 4], [5, 31, 45], [], [1, 2, 3, 4]],
    ["one that failed excuses one", [1, 4], [25], [], [1, 3, 4]],
    ["one that was under way at a kill is none of them", [1, 3, 4], [], [2], [1, 3, 4]],
    ["the last ones count too", [1, 2], [35], [], [1, 2, 4]],
  ])("pages: %s", (_title, arrived, failedMs, excused, expected) => {
    const arrivedMs = new Map(arrived.map((page) => [page, page * 10]));
    const scrapes = { served: 4, excused: new Set(excused), arrivedMs, failedMs: new Set(failedMs) };
    expect([...takenPages(scrapes)].sort((a, b) => a - b)).toEqual(expected);
  });

  test("under way at a kill are the last requests, of each series the last one", () => {
    const underWay = new UnderWay(2);
    const took = (...entries: [series: number, values: number[]][]) => underWay.took(new Map(entries));
    took([2, [9]]);
    took([0, [1, 2]], [1, [7]]);
    took([0, [3]]);
    underWay.killed();
    expect([0, 1, 2].map((series) => [...underWay.of(series)])).toEqual([[[3, 1]], [[7, 1]], []]);
    took([0, [3]]);
    underWay.killed();
    underWay.killed();
    expect([...underWay.of(0)]).toEqual([[3, 2]]);
  });
});
