import { expect, test } from "vitest";
import { DefinitionPlaces, definitionBytes } from "./definition-places.ts";

const name = (n: number) => n.toString(16).padStart(32, "0");
/** Differs from `name(n)` only at its end. */
const alike = (n: number) => `${name(n).slice(8)}${"f".repeat(8)}`;

test("places are found while they are added, when they are packed, and when they were read", () => {
  const places = new DefinitionPlaces();
  for (let i = 0; i < 100; i++) places.set(i % 2 === 0 ? name(i) : alike(i), i * 1000);
  const check = (one: DefinitionPlaces) => {
    expect(one.size).toBe(100);
    for (let i = 0; i < 100; i++) {
      expect(one.get(name(i))).toBe(i % 2 === 0 ? i * 1000 : undefined);
      expect(one.get(alike(i))).toBe(i % 2 === 0 ? undefined : i * 1000);
    }
  };
  check(places);
  const bytes = places.encode();
  expect(bytes.length).toBe(100 * definitionBytes);
  places.pack();
  check(places);
  expect(places.encode()).toEqual(bytes);
  check(new DefinitionPlaces(bytes));
});

test("what is added behind packed ones is found with them", () => {
  const places = new DefinitionPlaces();
  places.set(name(1), 1);
  places.pack();
  places.set(name(2), 2);
  expect([places.size, places.get(name(1)), places.get(name(2)), places.get(name(3))]).toEqual([2, 1, 2, undefined]);
  places.pack();
  expect([places.size, places.get(name(1)), places.get(name(2))]).toEqual([2, 1, 2]);
});

test("none has none", () => {
  expect([new DefinitionPlaces().size, new DefinitionPlaces().get(name(1))]).toEqual([0, undefined]);
});
