import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatPromDuration, parsePromDuration } from "./prom-duration.ts";

describe("parsePromDuration", () => {
  it.each([
    ["0", 0],
    ["0s", 0],
    ["5s", 5_000],
    ["1h30m", 5_400_000],
    ["1500ms", 1_500],
    ["1d", 86_400_000],
    ["1w", 604_800_000],
    ["1y", 31_536_000_000],
    ["292y", 292 * 31_536_000_000],
    ["1y2w3d4h5m6s7ms", 31_536_000_000 + 1_209_600_000 + 259_200_000 + 14_400_000 + 306_007],
  ])("reads %s", (text, ms) => {
    expect(parsePromDuration(text)).toBe(ms);
  });

  it.each(["", "10", "1.5h", "-5s", "30m1h", "1m1m", "5 s", "293y", "90000000000h", "s", "1H", "00"])(
    "refuses %j",
    (text) => {
      expect(parsePromDuration(text)).toBeUndefined();
    },
  );
});

describe("formatPromDuration", () => {
  it.each([
    [0, "0s"],
    [90 * 86_400_000, "90d"],
    [14 * 86_400_000, "2w"],
    [365 * 86_400_000, "1y"],
    [90_000_000, "1d1h"],
    [90_000, "1m30s"],
    [5, "5ms"],
    [1_001, "1s1ms"],
  ])("prints %d ms as %s", (ms, text) => {
    expect(formatPromDuration(ms)).toBe(text);
  });

  it("prints what reads back to the same duration", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 9_000_000_000_000 }), (ms) => {
        expect(parsePromDuration(formatPromDuration(ms))).toBe(ms);
      }),
    );
  });
});
