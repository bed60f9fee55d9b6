/** The interning tables against plain maps, over random interning, sweeps and reuse of numbers. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { createHashKey, type HashKey, hashBytes } from "../kernels/hash-bytes.ts";
import { ByteTable } from "./byte-table.ts";
import { Identities } from "./identities.ts";
import { InternIndex, none, TableFullError } from "./intern-table.ts";
import { ListTable } from "./list-table.ts";
import { ObjectTable } from "./object-table.ts";

const key = createHashKey(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
/** A key under which nearly everything collides. */
const poorKey = { seed: 0, first: 0, second: 0 };

type Command = readonly ["intern", key: number] | readonly ["sweep", modulus: number, rest: number];

const commands = (distinct: number): fc.Arbitrary<Command[]> =>
  fc.array(
    fc.oneof(
      { weight: 20, arbitrary: fc.tuple(fc.constant("intern" as const), fc.nat({ max: distinct })) },
      {
        weight: 1,
        arbitrary: fc.tuple(fc.constant("sweep" as const), fc.integer({ min: 1, max: 4 }), fc.nat({ max: 3 })),
      },
    ),
    { maxLength: 250, size: "max" },
  );

interface Table {
  readonly size: number;
  readonly capacity: number;
  sweep(isLive: (id: number) => boolean): number;
}

/** Runs commands on a table and on a map from key to number; `content` reads a number back. */
function runModel(
  table: Table,
  list: readonly Command[],
  intern: (key: number) => number,
  content: (id: number) => number,
): void {
  const model = new Map<number, number>();
  let highest = 0;
  for (const command of list) {
    if (command[0] === "intern") {
      const id = intern(command[1]);
      const known = model.get(command[1]);
      if (known === undefined) {
        expect([...model.values()]).not.toContain(id);
        // Numbers that were given back are used before new ones.
        if (model.size < highest) expect(id).toBeLessThanOrEqual(highest);
      } else expect(id).toBe(known);
      expect(id).toBeGreaterThan(none);
      model.set(command[1], id);
      highest = Math.max(highest, id);
    } else {
      const [, modulus, rest] = command;
      const isLive = (id: number) => id % modulus !== rest;
      const before = model.size;
      for (const [text, id] of model) if (!isLive(id)) model.delete(text);
      expect(table.sweep(isLive)).toBe(before - model.size);
    }
    expect([table.size, table.capacity]).toEqual([model.size, highest + 1]);
  }
  for (const [text, id] of model) expect(content(id)).toBe(text);
}

/** Bytes of very different lengths that name a number; 0 has none. */
const bytesOf = (number: number) =>
  Buffer.from(number === 0 ? "" : `${number}`.repeat(number % 7 === 0 ? 300 : 1 + (number % 5)));

describe.each([
  { what: "with a good hash", hashKey: key, distinct: 400 },
  { what: "with a hash that always collides", hashKey: poorKey, distinct: 40 },
])("$what", ({ hashKey, distinct }) => {
  test("ByteTable", () => {
    const numbers = new Map(Array.from({ length: distinct + 1 }, (_, i) => [bytesOf(i).toString(), i]));
    fc.assert(
      fc.property(commands(distinct), (list) => {
        const table = new ByteTable("test", hashKey, 10_000);
        const intern = (number: number) => {
          const bytes = bytesOf(number);
          const framed = Buffer.concat([Buffer.from("ab"), bytes, Buffer.from("c")]);
          return number % 2 === 0 ? table.intern(bytes) : table.intern(framed, 2, 2 + bytes.length);
        };
        runModel(table, list, intern, (id) => numbers.get(Buffer.from(table.view(id)).toString()) ?? -1);
        for (let id = 1; id < table.capacity; id++) {
          if (table.lengths[id] === 0) continue;
          // Kernels read eight bytes at a time, over the end of an entry.
          expect((table.offsets[id] as number) + (table.lengths[id] as number) + 8).toBeLessThanOrEqual(
            table.bytes.length,
          );
        }
      }),
      { numRuns: propertyRuns(40) },
    );
  });

  test("ListTable", () => {
    const listOf = (number: number) => Array.from({ length: number % 6 }, (_, i) => number * 7 + i);
    fc.assert(
      fc.property(commands(distinct), (list) => {
        const table = new ListTable("test", hashKey, 10_000);
        const scratch = new Uint32Array(16).fill(77);
        const intern = (number: number) => {
          // Lists without items are all the same.
          const items = number % 6 === 0 ? [number] : listOf(number);
          scratch.set(items);
          return table.intern(scratch, items.length, number);
        };
        runModel(table, list, intern, (id) => {
          const items = table.view(id);
          const number = table.weights[id] as number;
          expect([...items]).toEqual(number % 6 === 0 ? [number] : listOf(number));
          return number;
        });
      }),
      { numRuns: propertyRuns(40) },
    );
  });
});

test("the empty list and the empty bytes have numbers too", () => {
  const lists = new ListTable("test", key, 10);
  const bytes = new ByteTable("test", key, 10);
  const [list, empty] = [lists.intern(new Uint32Array(4), 0), bytes.intern(new Uint8Array(0))];
  expect([list, empty, lists.view(list).length, bytes.view(empty).length]).toEqual([1, 1, 0, 0]);
  expect([lists.intern(Uint32Array.of(9), 0), bytes.intern(Buffer.from("x"), 1, 1)]).toEqual([1, 1]);
});

test("ObjectTable", () => {
  fc.assert(
    fc.property(commands(30), (list) => {
      const table = new ObjectTable<{ number: number }>("test", 10_000);
      runModel(
        table,
        list,
        (number) => table.intern(`key ${number}`, { number }),
        (id) => table.get(id).number,
      );
      expect(() => table.get(table.capacity)).toThrow(RangeError);
      expect(() => table.get(0)).toThrow(RangeError);
    }),
    { numRuns: propertyRuns(40) },
  );
});

test("tables grow over many sizes and shrink their memory when most is swept", () => {
  const table = new ByteTable("test", key, 1_000_000);
  const ids = Array.from({ length: 50_000 }, (_, i) => table.intern(Buffer.from(`entry number ${i}`)));
  expect(new Set(ids).size).toBe(50_000);
  const full = table.byteLength;
  expect(table.sweep((id) => id % 100 === 0)).toBe(49_500);
  expect(table.byteLength).toBeLessThan(full / 2);
  for (const [i, id] of ids.entries()) {
    if (id % 100 === 0) expect(Buffer.from(table.view(id)).toString()).toBe(`entry number ${i}`);
  }
  expect(table.intern(Buffer.from("entry number 99"))).toBe(100);
});

describe("the limit", () => {
  test("is told of by name, leaves the table as it was, and ends with a sweep", () => {
    const table = new ByteTable("label pair", key, 2);
    table.intern(Buffer.from("a"));
    table.intern(Buffer.from("b"));
    expect(() => table.intern(Buffer.from("c"))).toThrow(TableFullError);
    expect(() => table.intern(Buffer.from("c"))).toThrow(
      expect.objectContaining({ code: "CONSUME_MEMORY_LIMIT", permanent: false }),
    );
    expect(() => table.intern(Buffer.from("c"))).toThrow("the label pair table is full (limit 2)");
    expect([table.intern(Buffer.from("a")), table.intern(Buffer.from("b")), table.size]).toEqual([1, 2, 2]);
    table.sweep((id) => id === 1);
    expect(table.intern(Buffer.from("c"))).toBe(2);
  });

  test("of the index and of objects", () => {
    const index = new InternIndex("x", 1);
    index.add(5);
    expect(() => index.add(6)).toThrow(TableFullError);
    const objects = new ObjectTable<number>("x", 1);
    objects.intern("a", 1);
    expect(() => objects.intern("b", 2)).toThrow(TableFullError);
    expect(objects.intern("a", 3)).toBe(1);
  });
});

describe("hash flooding", () => {
  const count = 2000;
  const normal = Array.from({ length: count }, (_, i) => `/v1/item/${i}`);
  /** Other keys than those of the process: what an attacker may try, since nobody knows those. */
  const knownKeys = [{ seed: 0, first: 0x9e3779b1 | 0, second: 0x85ebca6b | 0 }, key];

  /** Texts whose hash under a known key begins at the same few slots, found by search. */
  function textsWithOneSlot(known: HashKey, encode: (text: string) => Uint8Array): string[] {
    const found: string[] = [];
    for (let i = 0; found.length < count; i++) {
      const text = `/${i.toString(36)}`;
      const bytes = encode(text);
      if ((hashBytes(known, bytes, 0, bytes.length) & 0x3f) === 0) found.push(text);
    }
    return found;
  }

  const probesOf = (values: readonly string[]) => {
    const identities = new Identities();
    for (const value of values) identities.internLabels([["path", value]]);
    return { pairs: identities.labelPairs.meanProbes, sets: identities.labelSets.meanProbes };
  };

  test.each(knownKeys)("label values chosen against the key %j take as many probes as others", (known) => {
    const scratch = new Identities();
    const encode = (text: string) => scratch.labelPairs.view(scratch.internLabelPair("path", text)).slice();
    const [usual, hostile] = [probesOf(normal), probesOf(textsWithOneSlot(known, encode))];
    expect(hostile.pairs).toBeLessThan(3 * usual.pairs);
    expect(hostile.sets).toBeLessThan(3 * usual.sets);
    expect(Math.max(usual.pairs, usual.sets)).toBeLessThan(3);
  });

  test("is what such values do to a table whose key is known", () => {
    const table = new ByteTable("test", key, 10_000);
    for (const text of textsWithOneSlot(key, (value) => Buffer.from(value))) table.intern(Buffer.from(text));
    expect(table.meanProbes).toBeGreaterThan(10);
  });

  test("each process has a key of its own", () => {
    const [one, other] = [new Identities().hashKey, new Identities().hashKey];
    expect(one).not.toEqual(other);
    for (const { first, second } of [one, other]) expect([first & 1, second & 1]).toEqual([1, 1]);
  });
});
