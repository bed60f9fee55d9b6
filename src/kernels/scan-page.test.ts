/** The numbers that the page scanners yield are exactly those of the text, and they stay within their bounds; both kernels. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { scanOf as beginScan, templateOf as templateOfPage } from "../../test/support/kernel-template.ts";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { decimalText, goFloat, valueText } from "../../test/support/random-page.ts";
import { loadWasmScanner } from "./load-kernels.ts";
import type { PageScan, ScanPage } from "./page-scan.ts";
import { scanPagePlain } from "./scan-page.ts";

const plain: ScanPage = (template, scan) => scanPagePlain(template, scan);
const scanner = loadWasmScanner(plain);
const kernels: readonly (readonly [string, ScanPage])[] = [
  ["plain", plain],
  ["wasm", (template, scan) => scanner.scan(template, scan)],
];

/** A template whose lines are preceded by these texts. */
function templateOf(texts: readonly string[]): ReturnType<typeof templateOfPage> {
  return templateOfPage(Buffer.from(texts.map((text) => `${text}0\n`).join("")));
}

/** A scan of `text`, behind which the buffer holds bytes that must have no influence. */
function scanOf(text: string | Buffer, lines: number, options: { behind?: string; times?: number } = {}): PageScan {
  const bytes = Buffer.from(text);
  const page = Buffer.concat([bytes, Buffer.from(options.behind ?? "")]);
  const template = { ...templateOf([]), lines };
  const times = options.times !== undefined;
  const scan = beginScan(template, page, bytes.length, { times, scale: options.times ?? 1 });
  scan.values.fill(-99);
  return { ...scan, seen: new Uint8Array(lines + 8) };
}

describe.each(kernels)("%s", (_, scanPage) => {
  const isDecimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

  describe("numbers", () => {
    test("any decimal text parses to exactly what Number makes of it", () => {
      const template = templateOf(["a "]);
      const check = (text: string) => {
        const scan = scanOf(`a ${text}\n`, 1);
        const done = scanPage(template, scan);
        const value = Number(text);
        if (done) expect([text, scan.values[0]]).toEqual([text, value]);
        // What it hands over is near the end of the range, or long.
        else if (text.length <= 40) expect(Number(/[eE]\+?(\d+)$/.exec(text)?.[1])).toBeGreaterThan(230);
      };
      fc.assert(fc.property(decimalText, check), { numRuns: propertyRuns(3000) });
      fc.assert(
        fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => check(goFloat(value))),
        { numRuns: propertyRuns(3000) },
      );
      fc.assert(
        fc.property(fc.bigInt({ min: 0n, max: 1n << 70n }), (value) => check(String(value))),
        { numRuns: propertyRuns(1000) },
      );
    });

    test.each([
      "0",
      "-0",
      "1.234567e+06",
      "5e-324",
      "4.9406564584124654e-324",
      "1.7976931348623157e+230",
      "0.30000000000000004",
      "12345.678901234567",
      "NaN",
      "+Inf",
      "-Inf",
      "2.2250738585072011e-308",
    ])("reads %s", (text) => {
      const scan = scanOf(`a ${text}\n`, 1);
      expect(scanPage(templateOf(["a "]), scan)).toBe(true);
      expect(scan.values[0]).toBe(Number(text.replace("Inf", "Infinity")));
    });

    test.each([
      ...[
        "nan",
        "Inf",
        "+NaN",
        "NaN0",
        "+Infi",
        "1e231",
        "1.7976931348623157e+308",
        "inf",
        "1e400",
        "-1e400",
        "0x10",
        "1_000",
        "1e",
        "1e+",
        "--1",
        "1-",
        "1.2.3",
        ".",
        "-",
        "+",
        "e5",
        ".e5",
        "",
      ],
      ...["1,5", "1 ", " 1", "1\r", "1\t", "\u0661", "1\u0000"],
    ])("hands %j over", (text) => {
      const scan = scanOf(`a ${text}\n`, 1);
      expect(scanPage(templateOf(["a "]), scan)).toBe(false);
      expect({ line: scan.line, offset: scan.offset, value: scan.values[0] }).toEqual({
        line: 0,
        offset: 0,
        value: -99,
      });
    });

    test("never yields a line whose value is no decimal number", () => {
      fc.assert(
        fc.property(fc.oneof(valueText, fc.string({ maxLength: 12 })), (text) => {
          const scan = scanOf(`a ${text}\n`, 1);
          if (!scanPage(templateOf(["a "]), scan)) return;
          const token = text.split("\n")[0] ?? "";
          if (!/^(NaN|[+-]Inf)$/.test(token)) expect(token).toMatch(isDecimal);
          expect(scan.values[0]).toBe(Number(token.replace("Inf", "Infinity")));
        }),
        { numRuns: propertyRuns(3000) },
      );
    });
  });

  describe("timestamps", () => {
    test.each([
      { text: "a 1 1700000000123\n", scale: 1, time: 1_700_000_000_123 },
      { text: "a 1 1700000000\n", scale: 1000, time: 1_700_000_000_000 },
      { text: "a 1 0\n", scale: 1, time: 0 },
      { text: "a 1\n", scale: 1, time: Number.NaN },
    ])("reads $text at scale $scale", ({ text, scale, time }) => {
      const scan = scanOf(text, 1, { times: scale });
      expect(scanPage(templateOf(["a "]), scan)).toBe(true);
      expect([scan.values[0], scan.timestamps?.[0]]).toEqual([1, time]);
    });

    test.each([
      "a 1 \n",
      "a 1 -5\n",
      "a 1 1.5\n",
      "a 1  5\n",
      "a 1 5 \n",
      "a 1 1234567890123456\n",
      "a 1 # {} 1\n",
      "a 1 5",
    ])("hands %j over", (text) => {
      const scan = scanOf(text, 1, { times: 1, behind: "\n" });
      expect(scanPage(templateOf(["a "]), scan)).toBe(false);
      expect([scan.line, scan.offset, scan.values[0]]).toEqual([0, 0, -99]);
    });

    test("hands lines with a time over while times are ignored", () => {
      const scan = scanOf("a 1 5\n", 1);
      expect(scanPage(templateOf(["a "]), scan)).toBe(false);
    });
  });

  describe("bounds", () => {
    const texts = ['# HELP a text\na{x="1"} ', 'a{x="2"} ', "b "];
    const whole = `${texts[0]}1\n${texts[1]}-2.5e+07\n${texts[2]}12345678901234567890 1700000000\n`;

    test("what stands behind the page has no influence, wherever the page ends", () => {
      for (let length = 0; length <= whole.length; length++) {
        const results = ["", whole.slice(length), "9\n", "\n", "0 1\n", "e5\n"].map((behind) => {
          const scan = scanOf(whole.slice(0, length), 3, { behind, times: 1000 });
          const done = scanPage(templateOf(texts), scan);
          return {
            done,
            line: scan.line,
            offset: scan.offset,
            values: [...scan.values],
            times: [...(scan.timestamps ?? [])],
          };
        });
        for (const result of results) expect(result).toEqual(results[0]);
        expect(results[0]?.done).toBe(length === whole.length);
      }
    });

    test("any change of a byte between the values stops the scan before that line", () => {
      const page = Buffer.from(`${texts[0]}1\n${texts[1]}2\n`);
      const from = page.indexOf("\n", page.indexOf("} 1")) + 1;
      for (let at = from; at < page.length - 2; at++) {
        for (const byte of [0, 0x0a, 0x20, 0x80, 0xff, (page[at] ?? 0) ^ 0x01, (page[at] ?? 0) ^ 0x80]) {
          if (byte === page[at]) continue;
          const changed = Buffer.from(page);
          changed[at] = byte;
          const scan = scanOf(changed, 3);
          expect(scanPage(templateOf(texts), scan)).toBe(false);
          expect([scan.line, scan.offset]).toEqual([1, from]);
        }
      }
    });

    test("stops before a line that was seen already", () => {
      const scan = scanOf("a 1\nb 2\n", 2);
      scan.seen[1] = 1;
      scan.marked.push(1);
      expect(scanPage(templateOf(["a ", "b "]), scan)).toBe(false);
      expect([scan.line, scan.offset]).toEqual([1, 4]);
    });

    test("goes on from the line and offset it is given", () => {
      const scan = scanOf("new 5\nb 2\n", 2);
      scan.line = 1;
      scan.read = 1;
      scan.offset = 6;
      expect(scanPage(templateOf(["a ", "b "]), scan)).toBe(true);
      expect([scan.values[1], scan.seen[1], scan.offset]).toEqual([2, 1, 10]);
    });
  });
});
