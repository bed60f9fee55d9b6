/** What can be measured: a row is a shape of load, an encoding of the pages and a mode. */

export const encodings = ["identity", "gzip"] as const;
export type Encoding = (typeof encodings)[number];

export const modes = ["plain", "relabel", "rename", "reorder", "run", "second"] as const;
export type Mode = (typeof modes)[number];

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

/** Limits that Millrace must keep in a row; a bar without a figure is not checked. */
export interface Bar {
  readonly row: string;
  readonly cpuPerMillion?: number;
  readonly kbPerSeries?: number;
}

export const bars: readonly Bar[] = [{ row: "100x5000 identity plain", cpuPerMillion: 1.0, kbPerSeries: 1.5 }];

const maxTargets = 5_000;
const maxSeries = 5_000_000;

export const defaultShapes: readonly Shape[] = ["100x5000", "500x1000", "5x100000", "1000x100"].map(parseShape);

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

export function rowName(row: Row): string {
  return `${row.targets}x${row.series} ${row.encoding} ${row.mode}`;
}

/** The shapes of a mode where none was asked for. */
export function shapesOf(mode: Mode): readonly Shape[] {
  if (mode === "plain") return defaultShapes;
  return [parseShape(mode === "second" ? "200x5000" : "100x5000")];
}
