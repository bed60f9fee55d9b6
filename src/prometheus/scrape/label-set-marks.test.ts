/** A set of numbers that is emptied at once, against a plain Set. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { LabelSetMarks } from "./label-set-marks.ts";

test("behaves as a set does", () => {
  const command = fc.oneof(
    { weight: 1, arbitrary: fc.constant("clear" as const) },
    { weight: 9, arbitrary: fc.oneof(fc.nat({ max: 30 }), fc.nat({ max: 100_000 })) },
  );
  fc.assert(
    fc.property(fc.array(command, { maxLength: 80 }), (list) => {
      const marks = new LabelSetMarks();
      const model = new Set<number>();
      marks.clear();
      for (const one of list) {
        if (one === "clear") {
          marks.clear();
          model.clear();
          continue;
        }
        expect(marks.has(one)).toBe(model.has(one));
        expect(marks.add(one)).toBe(!model.has(one));
        model.add(one);
        expect(marks.has(one)).toBe(true);
      }
    }),
  );
});

test("is empty when it is new", () => {
  const marks = new LabelSetMarks();
  expect([marks.has(0), marks.has(5), marks.add(5), marks.add(5)]).toEqual([false, false, true, false]);
});
