import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Bag } from "./bag.ts";

describe("a bag", () => {
  test("holds what a set would hold", () => {
    const steps = fc.array(fc.record({ adds: fc.boolean(), item: fc.nat(20) }), { maxLength: 200 });
    fc.assert(
      fc.property(steps, (all) => {
        const bag = new Bag<number>();
        const set = new Set<number>();
        for (const { adds, item } of all) {
          if (adds && !set.has(item)) {
            bag.add(item);
            set.add(item);
          } else if (!adds) expect(bag.delete(item)).toBe(set.delete(item));
          expect(bag.size).toBe(set.size);
          expect(bag.has(item)).toBe(set.has(item));
        }
        expect(new Set(bag)).toEqual(set);
      }),
    );
  });

  test("may change while it is gone through", () => {
    const bag = new Bag<number>();
    for (const item of [1, 2, 3]) bag.add(item);
    const seen: number[] = [];
    for (const item of bag) {
      seen.push(item);
      bag.delete(item);
      bag.add(item + 10);
    }
    expect(seen).toEqual([1, 2, 3]);
    expect(bag.size).toBe(3);
    bag.clear();
    expect([...bag]).toEqual([]);
  });
});
