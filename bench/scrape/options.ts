/** The options of the scrape bench as given on the command line. */

import { parseArgs } from "node:util";
import { type Encoding, encodings, type Mode, modes, parseShape, type Row, type Shape, shapesOf } from "./rows.ts";
import { type SubjectName, subjectNames } from "./subjects.ts";

export interface Options {
  readonly rows: readonly Row[];
  /** Subjects asked for by name; undefined means all that are found. */
  readonly subjects?: readonly SubjectName[];
  readonly runs: number;
  readonly windowS: number;
  /** Scrapes of every target before the window begins. */
  readonly warmup: number;
  readonly quick: boolean;
  readonly jsonFile?: string;
}

export const usage = `usage: npm run bench -- scrape [OPTIONS]

  --shape NxM        targets x series, repeatable (default: 100x5000 500x1000 5x100000 1000x100; 20x1000 with --quick)
  --encoding E       identity or gzip, repeatable (default: both; identity in modes other than plain and with --quick)
  --mode M           ${modes.join(", ")}; repeatable (default: plain)
  --subject S        ${subjectNames.join(", ")}; repeatable (default: all that are found)
  --runs N           runs of each, of which the median is shown (default 3; 1 with --quick)
  --window SECONDS   length of the measurement (default 60; 10 with --quick)
  --interval SECONDS scrape interval (default 10; 1 in mode second; 2 with --quick)
  --warmup N         scrapes of every target before the window (default 3)
  --quick            small and short: shows that every sample arrives, its figures decide no bar
  --json FILE        also write every figure of every run`;

/** Undefined when help was asked for; throws an error that names the option where one is wrong. */
export function parseOptions(args: string[]): Options | undefined {
  const { values } = parseArgs({
    args,
    options: {
      shape: { type: "string", multiple: true },
      encoding: { type: "string", multiple: true },
      mode: { type: "string", multiple: true },
      subject: { type: "string", multiple: true },
      runs: { type: "string" },
      window: { type: "string" },
      interval: { type: "string" },
      warmup: { type: "string" },
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const quick = values.quick;
  return {
    rows: rowsOf(
      oneOf("mode", modes, values.mode) ?? ["plain"],
      values.shape?.map(parseShape) ?? (quick ? [parseShape("20x1000")] : undefined),
      oneOf("encoding", encodings, values.encoding) ?? (quick ? ["identity"] : undefined),
      (mode) => number("interval", values.interval, mode === "second" ? 1 : quick ? 2 : 10),
    ),
    subjects: oneOf("subject", subjectNames, values.subject),
    runs: Math.round(number("runs", values.runs, quick ? 1 : 3)),
    windowS: number("window", values.window, quick ? 10 : 60),
    warmup: Math.round(number("warmup", values.warmup, 3)),
    quick,
    jsonFile: values.json,
  };
}

function rowsOf(
  wantedModes: readonly Mode[],
  shapes: readonly Shape[] | undefined,
  wantedEncodings: readonly Encoding[] | undefined,
  intervalOf: (mode: Mode) => number,
): Row[] {
  return wantedModes.flatMap((mode) =>
    (wantedEncodings ?? (mode === "plain" ? encodings : (["identity"] as const))).flatMap((encoding) =>
      (shapes ?? shapesOf(mode)).map((shape) => ({ ...shape, encoding, mode, intervalS: intervalOf(mode) })),
    ),
  );
}

function oneOf<T extends string>(option: string, allowed: readonly T[], given?: string[]): T[] | undefined {
  return given?.map((text) => {
    const found = allowed.find((name) => name === text);
    if (found === undefined) throw new Error(`--${option}: expected one of ${allowed.join(", ")}, got "${text}"`);
    return found;
  });
}

function number(option: string, text: string | undefined, byDefault: number): number {
  if (text === undefined) return byDefault;
  const value = Number(text);
  if (!(value >= 1 && value <= 86_400))
    throw new Error(`--${option}: expected a number from 1 to 86400, got "${text}"`);
  return value;
}
