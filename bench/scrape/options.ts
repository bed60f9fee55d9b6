/** The options of the scrape bench as given on the command line. */

import { parseArgs } from "node:util";
import {
  type Encoding,
  encodings,
  type Mode,
  modeRules,
  modes,
  parseShape,
  plainShapes,
  type Row,
  rowOf,
  type Shape,
  shapeOf,
  tableRows,
} from "./rows.ts";
import { type SubjectName, subjectNames } from "./subjects.ts";

export interface Options {
  /** Undefined where no shape, encoding or mode was asked for: with `check` the rows of the baseline, else the table's. */
  readonly rows?: readonly Row[];
  /** Subjects asked for by name; undefined means all that are found. */
  readonly subjects?: readonly SubjectName[];
  /** Folder of another build of Millrace. */
  readonly before?: string;
  readonly runs: number;
  readonly windowS: number;
  readonly warmup?: number;
  readonly settleS: number;
  readonly soakS: number;
  readonly quick: boolean;
  readonly check: boolean;
  readonly saveBaseline: boolean;
  readonly saveFile?: string;
  readonly jsonFile?: string;
  readonly chartFile?: string;
}

const modeLines = modes.map((name) => `                       ${name.padEnd(9)}${modeRules[name].summary}`).join("\n");

export const usage = `usage: npm run bench -- scrape [OPTIONS]

Without --shape, --encoding and --mode: the ${tableRows.length} rows of docs/performance.md that take minutes.

  --shape NxM          targets x series, repeatable (default: ${plainShapes.map((s) => `${s.targets}x${s.series}`).join(" ")} in mode plain,
                       ${modeRules.second.shape} in mode second, ${modeRules.run.shape} in others; 20x1000 with --quick)
  --encoding E         identity or gzip, repeatable (default: both in mode plain, else identity; identity with --quick)
  --mode M             repeatable (default: plain):
${modeLines}
  --subject S          ${subjectNames.join(", ")}; repeatable
                       (default: all that are found; Millrace alone in modes ${modes.filter((name) => modeRules[name].alone).join(", ")})
  --before DIR         also measure another build of Millrace, whose package is in DIR, as the subject "before"
  --runs N             runs of each, of which the median is shown (default 3; 1 with --quick and in modes churn, rollout, soak)
  --window SECONDS     length of the measurement (default 60; 10 with --quick)
  --interval SECONDS   scrape interval (default 10; 1 in mode second; 5 in mode soak; 2 with --quick)
  --warmup N           scrapes of every target before the window (default 3; 30 in mode second)
  --settle SECONDS     wait of modes churn and rollout (default 600)
  --soak [SECONDS]     mode soak alone, for so long (default 3600)
  --quick              small and short: shows that every sample arrives, its figures decide no bar
  --check              compare with bench/baseline.json, by default its rows and for each the best peer: exit code 1 where a
                       ratio to a peer of the same run has risen by more than 15 %
  --save-baseline      write the ratios of this run into bench/baseline.json
  --save FILE          put the rows of this run into a file of results, for npm run bench -- report
  --json FILE          write every figure of every run
  --chart FILE         draw the rows of this run as SVG`;

/** Undefined when help was asked for; throws an error that names the option where one is wrong. */
export function parseOptions(args: string[]): Options | undefined {
  const { values } = parseArgs({
    args: withSoakDefault(args),
    options: {
      shape: { type: "string", multiple: true },
      encoding: { type: "string", multiple: true },
      mode: { type: "string", multiple: true },
      subject: { type: "string", multiple: true },
      before: { type: "string" },
      runs: { type: "string" },
      window: { type: "string" },
      interval: { type: "string" },
      warmup: { type: "string" },
      settle: { type: "string" },
      soak: { type: "string" },
      quick: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      "save-baseline": { type: "boolean", default: false },
      save: { type: "string" },
      json: { type: "string" },
      chart: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const quick = values.quick;
  const interval = values.interval ?? (quick ? "2" : undefined);
  return {
    rows: rowsOf(
      oneOf("mode", modes, values.soak === undefined ? values.mode : ["soak"]),
      values.shape?.map(parseShape) ?? (quick ? [parseShape("20x1000")] : undefined),
      oneOf("encoding", encodings, values.encoding) ?? (quick ? ["identity"] : undefined),
      interval === undefined ? undefined : number("interval", interval, 10),
    ),
    subjects: oneOf("subject", subjectNames, values.subject),
    before: values.before,
    runs: Math.round(number("runs", values.runs, quick ? 1 : 3)),
    windowS: number("window", values.window, quick ? 10 : 60),
    warmup: values.warmup === undefined ? undefined : Math.round(number("warmup", values.warmup, 3)),
    settleS: number("settle", values.settle, 600),
    soakS: number("soak", values.soak, 3600),
    quick,
    check: values.check,
    saveBaseline: values["save-baseline"],
    saveFile: values.save,
    jsonFile: values.json,
    chartFile: values.chart,
  };
}

/** Gives `--soak` its value where it stands alone. */
function withSoakDefault(args: readonly string[]): string[] {
  return args.flatMap((arg, i) => (arg === "--soak" && !/^\d/.test(args[i + 1] ?? "") ? ["--soak=3600"] : [arg]));
}

function rowsOf(
  wantedModes: readonly Mode[] | undefined,
  shapes: readonly Shape[] | undefined,
  wantedEncodings: readonly Encoding[] | undefined,
  intervalS: number | undefined,
): Row[] | undefined {
  if (wantedModes === undefined && shapes === undefined && wantedEncodings === undefined) return undefined;
  return (wantedModes ?? (["plain"] as const)).flatMap((mode) =>
    (wantedEncodings ?? (mode === "plain" ? encodings : (["identity"] as const))).flatMap((encoding) =>
      (shapes ?? (mode === "plain" ? plainShapes : [shapeOf(mode)])).map((shape) =>
        rowOf(shape, encoding, mode, intervalS),
      ),
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
