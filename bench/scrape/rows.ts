/** What can be measured: a row is a shape of load, an encoding of the pages and a mode. */

export const encodings = ["identity", "gzip"] as const;
export type Encoding = (typeof encodings)[number];

interface ModeRule {
  readonly intervalS: number;
  /** Scrapes of every target before the window. */
  readonly warmup: number;
  /** Whether it is about Millrace alone; peers take part where they are named. */
  readonly alone: boolean;
  readonly shape: string;
  readonly summary: string;
}

export const modeRules = {
  plain: mode("the same series at every scrape"),
  relabel: mode("three metric relabel rules: a drop by name, a replace, a labeldrop"),
  rename: mode("1 % of the series renamed at every scrape"),
  reorder: mode("lines in another order at every scrape"),
  run: mode("`millrace run` and otelcol with the same file, and `millrace agent`"),
  delay: mode("the event loop's delay at 50,000 samples a second", { alone: true }),
  second: mode("every second", { intervalS: 1, warmup: 30, shape: "200x5000" }),
  churn: mode("10 % of the series renamed once, then a wait", { alone: true }),
  rollout: mode("every pod renamed once, then a wait", { alone: true }),
  soak: mode("an hour with 1 % of the series renamed every minute", { intervalS: 5, alone: true }),
} satisfies Record<string, ModeRule>;

export type Mode = keyof typeof modeRules;
export const modes = Object.keys(modeRules) as readonly Mode[];

function mode(summary: string, rule: Partial<ModeRule> = {}): ModeRule {
  return { intervalS: 10, warmup: 3, alone: false, shape: "100x5000", summary, ...rule };
}

export interface Shape {
  readonly targets: number;
  /** Series of each target's page. */
  readonly series: number;
}

export interface Row extends Shape {
  readonly encoding: Encoding;
  readonly mode: Mode;
  readonly intervalS: number;
}

const maxTargets = 5_000;
const maxSeries = 5_000_000;

export const plainShapes: readonly Shape[] = ["100x5000", "500x1000", "5x100000", "1000x100"].map(parseShape);

/** The rows of docs/performance.md that take minutes; `churn`, `rollout` and `soak` are asked for by their mode. */
export const tableRows: readonly Row[] = [
  ...plainShapes.map((shape) => rowOf(shape, "identity", "plain")),
  ...plainShapes.slice(0, 2).map((shape) => rowOf(shape, "gzip", "plain")),
  ...(["relabel", "rename", "reorder", "run", "delay", "second"] as const).map((name) =>
    rowOf(shapeOf(name), "identity", name),
  ),
];

export function rowOf(shape: Shape, encoding: Encoding, name: Mode, intervalS = modeRules[name].intervalS): Row {
  return { targets: shape.targets, series: shape.series, encoding, mode: name, intervalS };
}

/** The shape of a mode where none was asked for. */
export function shapeOf(name: Mode): Shape {
  return parseShape(modeRules[name].shape);
}

/** Reads "TARGETSxSERIES"; throws where it is none or more than the load program can hold. */
export function parseShape(text: string): Shape {
  const match = /^([1-9]\d*)x([1-9]\d*)$/.exec(text);
  const targets = Number(match?.[1]);
  const series = Number(match?.[2]);
  if (match === null || targets > maxTargets || targets * series > maxSeries) {
    throw new Error(
      `--shape: expected TARGETSxSERIES such as 100x5000 (at most ${maxTargets} targets and ${maxSeries} series), got "${text}"`,
    );
  }
  return { targets, series };
}

/** Unlike for unlike rows but for the interval: "100x5000 identity plain". */
export function rowName(row: Row): string {
  return `${row.targets}x${row.series} ${row.encoding} ${row.mode}`;
}

/** The row of a name as `rowName` writes it, or undefined. */
export function parseRowName(name: string, intervalS?: number): Row | undefined {
  const [shape = "", encodingText, modeText] = name.split(" ");
  const encoding = encodings.find((each) => each === encodingText);
  const found = modes.find((each) => each === modeText);
  if (encoding === undefined || found === undefined || !/^\d+x\d+$/.test(shape)) return undefined;
  return rowOf(parseShape(shape), encoding, found, intervalS);
}

/** The command that repeats a row. */
export function commandOf(row: Row): string {
  const options = [`--shape ${row.targets}x${row.series}`, `--encoding ${row.encoding}`, `--mode ${row.mode}`];
  if (row.intervalS !== modeRules[row.mode].intervalS) options.push(`--interval ${row.intervalS}`);
  return `npm run bench -- scrape ${options.join(" ")}`;
}
