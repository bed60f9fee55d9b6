/** The crash runs: a program is killed at random moments while its sink fails; lost, repeated and misplaced values are counted. */

import { parseArgs } from "node:util";
import { createTempFolder } from "../../test/kit/temp.ts";
import { findSubject, type Subject } from "../scrape/subjects.ts";
import { otlpWork } from "./otlp.ts";
import { runRound } from "./round.ts";
import { scrapingWork } from "./scraping.ts";
import { addTallies, emptyTally, type Tally } from "./tally.ts";

const ways = { scrape: ["millrace", "vmagent", "prometheus"], otlp: ["millrace", "otelcol"] } as const;
type Way = keyof typeof ways;

const usage = `usage: npm run bench -- crash [OPTIONS]

  --way scrape|otlp   scraping to remote write, or OTLP to OTLP; repeatable (default: both)
  --subject S         ${ways.scrape.join(", ")} (scrape), ${ways.otlp.join(", ")} (otlp); repeatable (default: all that are found)
  --kills N           of each (default 100)
  --per-round N       kills until everything may arrive and a new directory is begun (default 100)
  --life MS           for which the program works at most before it is killed (default 300)
  --consumers N       num_consumers of otlp's queue (default: the program's own)`;

/** Resolves to the exit code: 1 where Millrace lost, misplaced or repeated what it must not, 2 on wrong usage. */
export async function runCrashBench(args: string[], stop: AbortSignal): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      way: { type: "string", multiple: true },
      subject: { type: "string", multiple: true },
      kills: { type: "string", default: "100" },
      "per-round": { type: "string", default: "100" },
      life: { type: "string", default: "300" },
      consumers: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const { way: wanted = ["scrape", "otlp"], subject: names } = values;
  const kills = number(values.kills);
  const perRound = number(values["per-round"]);
  const lifeMs = number(values.life);
  const consumers = values.consumers === undefined ? undefined : number(values.consumers);
  let isGood = true;
  const rows: string[] = [];
  for (const way of wanted) {
    if (way !== "scrape" && way !== "otlp") throw new Error(`--way: expected scrape or otlp, got "${way}"`);
    for (const name of ways[way]) {
      if (names !== undefined && !names.includes(name)) continue;
      const subject = findSubject(name, undefined);
      if (subject === undefined) {
        console.log(`${name} is not found and left out`);
        continue;
      }
      const tally = await killAgainAndAgain(way, subject, { kills, perRound, lifeMs, consumers }, stop);
      rows.push(rowOf(way, subject, { kills, perRound, lifeMs, consumers }, tally));
      if (name === "millrace" && tally.lost + tally.misplaced + tally.unexcused > 0) isGood = false;
    }
  }
  console.log(`\nlives of at most ${lifeMs} ms\n\n${tableHead}\n${rows.join("\n")}`);
  return isGood ? 0 : 1;
}

interface Extent {
  readonly kills: number;
  readonly perRound: number;
  readonly lifeMs: number;
  readonly consumers: number | undefined;
}

async function killAgainAndAgain(way: Way, subject: Subject, extent: Extent, stop: AbortSignal): Promise<Tally> {
  let total = emptyTally;
  for (let done = 0; done < extent.kills; ) {
    const kills = Math.min(extent.perRound, extent.kills - done);
    using folder = createTempFolder("crash");
    await using work = await (way === "scrape"
      ? scrapingWork(subject, folder)
      : otlpWork(subject, folder, extent.consumers));
    total = addTallies(total, await runRound(work, folder.path, { kills, lifeMs: extent.lifeMs }, stop));
    done += kills;
    console.log(`${way}, ${subject.name} ${subject.version}: ${describe(done, total)}`);
    if (subject.name === "millrace") for (const example of total.examples) console.log(`  ${example}`);
  }
  return total;
}

/** The table of docs/durability.md. */
const tableHead = "| | kills | taken | lost | out of order | repeated |\n| --- | --- | --- | --- | --- | --- |";

function rowOf(way: Way, subject: Subject, { kills, consumers }: Extent, tally: Tally): string {
  const detail = way === "otlp" && consumers !== undefined ? `, num_consumers ${consumers}` : "";
  const [title, unit] = way === "scrape" ? ["scraping", "pages"] : ["OTLP", "points"];
  const { taken, lost, misplaced, repeated } = tally;
  const count = (value: number) => value.toLocaleString("en");
  const cells = [count(kills), `${count(taken)} ${unit}`, ...[lost, misplaced, repeated].map(count)];
  return `| ${title}: ${subject.name} ${subject.version}${detail} | ${cells.join(" | ")} |`;
}

function describe(kills: number, { taken, lost, repeated, underWay, unexcused, misplaced }: Tally): string {
  const each = (count: number) => `${count} (${(count / kills).toFixed(1)} a kill)`;
  const again = `${each(repeated)} repeated, ${unexcused} of them not under way (of ${each(underWay)} that were)`;
  return `${kills} kills, ${taken} taken, ${each(lost)} lost, ${again}, ${each(misplaced)} out of order`;
}

function number(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`expected a positive whole number, got "${text}"`);
  return Number(text);
}
