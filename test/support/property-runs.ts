/** How many random cases a test tries: fewer while one works, all of them before a change lands. */

/** All of them where the environment says `FULL_RUNS=1`, as the checks of a submission do, else a quarter; seeds differ each time. */
export function propertyRuns(all: number): number {
  return process.env["FULL_RUNS"] === "1" ? all : Math.ceil(all / 4);
}
