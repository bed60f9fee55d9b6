import fc from "fast-check";
import { expect, test } from "vitest";
import { msOfNanos, msOfWords } from "./times.ts";

test("milliseconds of two halves are those of the whole", () => {
  const ofHalves = (nanos: bigint) =>
    msOfWords(Number(BigInt.asIntN(32, nanos)), Number(BigInt.asIntN(32, nanos >> 32n)));
  const nearMs = fc.tuple(fc.bigInt({ min: 0n, max: 9_223_372_036_854n }), fc.constantFrom(-1n, 0n, 1n));
  const nanos = fc.oneof(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    nearMs.map(([ms, off]) => BigInt.asUintN(64, ms * 1_000_000n + off)),
  );
  const check = (each: bigint) => {
    expect(ofHalves(each)).toBe(msOfNanos(each));
  };
  fc.assert(fc.property(nanos, check), { numRuns: 2000 });
});
