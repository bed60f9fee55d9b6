/** Large real pages are parsed whole, and yield what a naive reading of their lines yields. */

import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createOpenMetricsParser, createTextParser } from "../../src/codec/exposition/parser.ts";

const repoRoot = new URL("../../", import.meta.url);
const pages = new URL("../shared/conformance/exposition/", repoRoot);
const isAbsent = !existsSync(pages);

const table = [
  { file: "1histogram.om.txt", series: 42, types: 1, exemplars: 0, comments: 0 },
  { file: "alltypes.5mfs.om.txt", series: 53, types: 5, exemplars: 6, comments: 0 },
  // In the text format "# EOF" is a comment.
  { file: "alltypes.237mfs.prom.txt", series: 1857, types: 237, exemplars: 0, comments: 1 },
  { file: "alltypes.237mfs.nometa.prom.txt", series: 1857, types: 0, exemplars: 0, comments: 1 },
];

/** Series text and number of a line without escapes and with the value behind the last blank before any exemplar. */
function readNaively(line: string): { series: string; value: number } {
  const [sample = ""] = line.split(" # {");
  const blank = sample.lastIndexOf(" ");
  return { series: sample.slice(0, blank), value: Number(sample.slice(blank + 1).replace("Inf", "Infinity")) };
}

describe.skipIf(isAbsent)("real pages (skipped where ../shared/conformance is absent)", () => {
  test.each(table)("$file is parsed whole", ({ file, series, types, exemplars, comments }) => {
    const page = readFileSync(new URL(file, pages));
    const lines = page.toString("utf8").split("\n");
    const sampleLines = lines.filter((line) => line !== "" && !line.startsWith("#")).map(readNaively);
    const parser = file.endsWith(".om.txt") ? createOpenMetricsParser(page) : createTextParser(page);
    const counts = { type: 0, help: 0, unit: 0, comment: 0, series: 0, exemplars: 0 };
    const read: { series: string; value: number }[] = [];
    for (let kind = parser.next(); kind !== "end"; kind = parser.next()) {
      counts[kind]++;
      if (kind !== "series") continue;
      if (parser.exemplar !== undefined) counts.exemplars++;
      const text = page.toString("utf8", parser.seriesStart, parser.seriesEnd);
      const labels = parser.labels();
      expect(labels.length).toBe(1 + (text.match(/="/g)?.length ?? 0));
      expect(text.startsWith(labels[0]?.[1] ?? "?")).toBe(true);
      read.push({ series: text, value: parser.value });
    }
    expect(read).toEqual(sampleLines);
    expect(counts).toEqual({ type: types, help: types, unit: 0, comment: comments, series, exemplars });
    expect(parser.offset).toBe(page.length);
  });
});
