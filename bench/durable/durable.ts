/** The durable bench: what a queue on disk costs, by scraping beside a queue in memory and by OTLP beside otelcol. */

import { parseArgs } from "node:util";
import { defaultWarmupS } from "../otlp/measure.ts";
import { measureOtlpRow } from "../otlp/otlp.ts";
import { formatOtlpRow, type OtlpSummary } from "../otlp/report.ts";
import { buildLoad } from "../scrape/load-process.ts";
import { parseShape, rowOf } from "../scrape/rows.ts";
import { expectTwoCores, leaveSubjectCore } from "../scrape/run-subject.ts";
import { findSubject, type Subject } from "../scrape/subjects.ts";
import { type DurableRow, durableOtlpRows } from "./rows.ts";
import { measureScraping } from "./scraping.ts";

const rowNames = ["scrape", ...durableOtlpRows.map(({ name }) => name)];

const usage = `usage: npm run bench -- durable [OPTIONS]

  --row NAME           ${rowNames.join(", ")}; repeatable (default: all)
  --before DIR         also measure another build of Millrace, whose package is in DIR
  --alone              without peers
  --runs N             runs of each, of which the median is shown (default 3; 1 with --quick)
  --window SECONDS     length of the measurement (default 40 by scraping, 20 by OTLP; a tenth with --quick)
  --warmup SCRAPES     of every target before the window, by scraping (default 12; 3 with --quick)
  --quick              short: shows that everything arrives`;

/** Resolves to the exit code: 1 where a delivered count was wrong. */
export async function runDurableBench(args: string[], stop: AbortSignal): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      row: { type: "string", multiple: true },
      before: { type: "string" },
      alone: { type: "boolean", default: false },
      runs: { type: "string" },
      window: { type: "string" },
      warmup: { type: "string" },
      quick: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const { quick, row: wanted = rowNames, before, alone } = values;
  for (const name of wanted)
    if (!rowNames.includes(name)) throw new Error(`--row: expected one of ${rowNames.join(", ")}, got "${name}"`);
  expectTwoCores();
  const runs = number(values.runs, quick ? 1 : 3);
  const loadFile = await buildLoad();
  leaveSubjectCore();
  let isRight = true;
  if (wanted.includes("scrape")) {
    const row = rowOf(parseShape(quick ? "20x1000" : "100x5000"), "identity", "plain", quick ? 2 : 10);
    const windowS = number(values.window, quick ? 4 : 40);
    // V8 compiles for two minutes what ten pages a second call: more of it where there is a disk to write to.
    const warmup = number(values.warmup, quick ? 3 : 12);
    const settings = { loadFile, windowS, warmup, settleS: 0, soakS: 0, progress: () => {} };
    isRight = (await measureScraping(row, runs, settings, { before, alone }, stop)) && isRight;
  }
  const subjects = otlpSubjects(before, alone);
  for (const row of durableOtlpRows.filter(({ name }) => wanted.includes(name))) {
    const windowS = number(values.window, quick ? 2 : 20);
    const scrape = { targets: 0, series: 0, intervalS: 0 };
    const settings = { loadFile, windowS, warmupS: quick ? 2 : defaultWarmupS, scrape };
    const summary = await measureOtlpRow(row, subjects, runs, settings, stop);
    console.log(`\n${formatOtlpRow(summary, scrape, quick)}\n${row.isFull ? throughputLine(row, summary) : ""}\n`);
    if (summary.subjects.some(({ problem }) => problem !== undefined)) isRight = false;
  }
  return isRight ? 0 : 1;
}

function otlpSubjects(before: string | undefined, alone: boolean): Subject[] {
  return (["millrace", "before", "otelcol"] as const).flatMap((name) => {
    const isLeftOut = (name === "before" && before === undefined) || (name === "otelcol" && alone);
    const subject = isLeftOut ? undefined : findSubject(name, before);
    return subject === undefined ? [] : [subject];
  });
}

/** The bar of rows that ask for as much as a subject takes. */
function throughputLine(row: DurableRow, { subjects }: OtlpSummary): string {
  const [millrace, otelcol] = ["millrace", "otelcol"].map((name) =>
    subjects.find(({ subject, problem }) => subject.name === name && problem === undefined),
  );
  if (millrace === undefined || otelcol === undefined) return `${row.name}: no ratio of throughputs`;
  const share = millrace.figures.itemsPerSecond / otelcol.figures.itemsPerSecond;
  return `${share >= 1 ? "PASS" : "FAIL"}: throughput as a share of otelcol's ${share.toFixed(2)}, must be at least 1`;
}

function number(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`expected a positive whole number, got "${text}"`);
  return Number(text);
}
