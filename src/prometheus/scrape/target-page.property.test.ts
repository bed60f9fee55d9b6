/** The page cache against a reader that parses every page from scratch, over sequences of changing and broken pages. */

import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { NaiveTarget } from "../../../test/support/naive-scrape.ts";
import { propertyRuns } from "../../../test/support/property-runs.ts";
import {
  commentLines,
  type Damage,
  damagePage,
  damages,
  familyNames,
  type PageLine,
  pageLine,
  renderPage,
  seriesText,
  timeText,
  valueText,
} from "../../../test/support/random-page.ts";
import { createPageReader, sortRows } from "../../../test/support/read-target-page.ts";
import { chooseKernels } from "../../kernels/kernels.ts";

afterAll(() => chooseKernels("wasm"));

type Change =
  | readonly ["values", seed: number]
  | readonly ["delete" | "duplicate", at: number]
  | readonly ["move", from: number, to: number]
  | readonly ["insert", at: number, line: PageLine]
  | readonly ["rename", at: number, series: string]
  | readonly ["value", at: number, value: string]
  | readonly ["time", at: number, time: string]
  | readonly ["comments", at: number, comments: string[]]
  | readonly ["exemplar", at: number];

const change = (isOpenMetrics: boolean): fc.Arbitrary<Change> => {
  const at = fc.nat({ max: 40 });
  return fc.oneof(
    fc.tuple(fc.constant("values" as const), fc.nat()),
    fc.tuple(fc.constantFrom("delete" as const, "duplicate" as const), at),
    fc.tuple(fc.constant("move" as const), at, at),
    fc.tuple(fc.constant("insert" as const), at, pageLine(isOpenMetrics)),
    fc.tuple(fc.constant("rename" as const), at, seriesText),
    fc.tuple(fc.constant("value" as const), at, valueText),
    fc.tuple(fc.constant("time" as const), at, timeText(isOpenMetrics)),
    fc.tuple(fc.constant("comments" as const), at, fc.oneof(fc.constant<string[]>([]), commentLines)),
    fc.tuple(fc.constant("exemplar" as const), at),
  );
};

function applyChange(lines: readonly PageLine[], [kind, at, what]: Change, isOpenMetrics: boolean): PageLine[] {
  const next = [...lines];
  if (kind === "values") return next.map((line, i) => ({ ...line, value: String((at + i * 7) % 1000) }));
  if (kind === "insert") {
    next.splice(at % (next.length + 1), 0, what);
    return next;
  }
  const place = next.length === 0 ? 0 : at % next.length;
  const line = next[place];
  if (line === undefined) return next;
  if (kind === "delete") next.splice(place, 1);
  else if (kind === "duplicate") next.splice(place, 0, { ...line, comments: [], value: "77" });
  else if (kind === "move") {
    next.splice(place, 1);
    next.splice(what % (next.length + 1), 0, line);
  } else if (kind === "rename") next[place] = { ...line, series: what };
  else if (kind === "value") next[place] = { ...line, value: what };
  else if (kind === "time") next[place] = { ...line, time: what };
  else if (kind === "comments") next[place] = { ...line, comments: what };
  else next[place] = { ...line, exemplar: isOpenMetrics ? ' # {id="9"} 3' : "" };
  return next;
}

interface Step {
  readonly changes: readonly Change[];
  readonly damages: readonly Damage[];
  /** How often the page comes: what it no longer declares is forgotten after ten. */
  readonly times: number;
}

const steps = (isOpenMetrics: boolean): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.record({
      changes: fc.array(change(isOpenMetrics), { maxLength: 3 }),
      damages: fc.oneof({ weight: 4, arbitrary: fc.constant<Damage[]>([]) }, { weight: 1, arbitrary: damages }),
      times: fc.oneof(
        { weight: 5, arbitrary: fc.constant(1) },
        { weight: 1, arbitrary: fc.integer({ min: 2, max: 12 }) },
      ),
    }),
    { minLength: 1, maxLength: 7 },
  );

const scenario = fc.boolean().chain((isOpenMetrics) =>
  fc.record({
    isOpenMetrics: fc.constant(isOpenMetrics),
    first: fc.array(pageLine(isOpenMetrics), { maxLength: 12 }),
    steps: steps(isOpenMetrics),
  }),
);

const other = createPageReader();
const pagesOfOther = ["x 1\ny 2\nz 3\n", "x 4\ny 5\nz 6\n", "z 7\nx 8\ny 9\n", "x 1\ny 2\nz 3\nnew 4\n"].map((page) =>
  Buffer.from(page),
);
let pagesRead = 0;

/** Reads the next page of another target: one that is known, one with its lines moved, one with a new line. */
function readAnother(): void {
  other.read(pagesOfOther[pagesRead++ % pagesOfOther.length] as Buffer, false);
}

/** Lines whose bounds read one way or the other. */
const boundLine = fc.constantFrom(
  "# TYPE alpha histogram",
  "# TYPE alpha gauge",
  "# TYPE beta gauge",
  "# TYPE beta summary",
  'alpha_bucket{le="1"} 1',
  'alpha_bucket{le="1"} 1 18',
  'alpha_bucket{le="1.0"} 2',
  'alpha{le="1"} 3',
  'beta{quantile="1"} 3',
  'beta {quantile="1"} 3 17',
  '{"beta",quantile="1",a="}\\""} 4',
  'drop_me{le="1"} 1',
  "other 1",
);

describe.each(["plain", "wasm"] as const)("%s kernels", (kernel) => {
  test("the content of every page equals that of a naive reader", () => {
    chooseKernels(kernel);
    fc.assert(
      fc.property(scenario, ({ isOpenMetrics, first, steps: list }) => {
        const reader = createPageReader({ beforeStep: readAnother });
        const naive = new NaiveTarget(reader.target);
        let lines: readonly PageLine[] = first;
        for (const { changes, damages: faults, times } of [{ changes: [], damages: [], times: 1 }, ...list]) {
          for (const one of changes) lines = applyChange(lines, one, isOpenMetrics);
          const page = damagePage(renderPage(lines, isOpenMetrics), faults);
          for (let time = 0; time < times; time++) {
            expect(sortRows(reader.read(page, isOpenMetrics))).toEqual(sortRows(naive.read(page, isOpenMetrics)));
          }
        }
      }),
      { numRuns: propertyRuns(600) },
    );
  });

  test("a text keeps the labels that it was read with first, whatever TYPE line stands above it later", () => {
    chooseKernels(kernel);
    fc.assert(
      fc.property(fc.array(fc.array(boundLine, { maxLength: 9 }), { maxLength: 5 }), (pages) => {
        const reader = createPageReader();
        const naive = new NaiveTarget(reader.target);
        for (const lines of pages) {
          const page = Buffer.from(lines.map((line) => `${line}\n`).join(""));
          expect(sortRows(reader.read(page, false))).toEqual(sortRows(naive.read(page, false)));
        }
      }),
      { numRuns: propertyRuns(150) },
    );
  });

  test("a page in another format than the one before is read anew", () => {
    chooseKernels(kernel);
    fc.assert(
      fc.property(
        fc.array(pageLine(false), { maxLength: 6 }),
        fc.array(fc.boolean(), { maxLength: 5 }),
        (lines, formats) => {
          const reader = createPageReader();
          const naive = new NaiveTarget(reader.target);
          const plain = lines.map((line) => ({ ...line, time: "" }));
          for (const isOpenMetrics of [false, ...formats]) {
            for (const page of [renderPage(plain, true), renderPage(plain, false)]) {
              expect(sortRows(reader.read(page, isOpenMetrics))).toEqual(sortRows(naive.read(page, isOpenMetrics)));
            }
          }
        },
      ),
      { numRuns: propertyRuns(120) },
    );
  });
});

test("names that the relabel rule drops are among those of the random pages", () => {
  expect(familyNames.some((name) => name.startsWith("drop_"))).toBe(true);
});
