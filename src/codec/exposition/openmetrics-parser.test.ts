import { describe, expect, test } from "vitest";
import { DecodeError } from "../../model/errors.ts";
import { createOpenMetricsParser } from "./parser.ts";

type Entry = readonly unknown[];

/** Entries as arrays: series as [labels, value, timestamp, exemplar], metadata as [kind, name, text]. */
function readOpenMetrics(page: string): Entry[] {
  const parser = createOpenMetricsParser(Buffer.from(page, "latin1"));
  const entries: Entry[] = [];
  for (let kind = parser.next(); kind !== "end"; kind = parser.next()) {
    if (kind !== "series") {
      entries.push([kind, parser.metricName, parser.text]);
      continue;
    }
    const { timestampMs, exemplar } = parser;
    const entry: unknown[] = [
      parser
        .labels()
        .map((label) => label.join("="))
        .join(","),
      parser.value,
    ];
    if (timestampMs !== undefined || exemplar !== undefined) entry.push(timestampMs);
    if (exemplar !== undefined) {
      entry.push([exemplar.labels.map((label) => label.join("=")).join(","), exemplar.value, exemplar.timestampMs]);
    }
    entries.push(entry);
  }
  return entries;
}

const end = "# EOF\n";

describe("accepts what Prometheus accepts", () => {
  const table: { title: string; page: string; entries: Entry[] }[] = [
    { title: "an end without a newline", page: "# EOF", entries: [] },
    { title: "NULs around the end", page: "# E\0OF\0\n\0", entries: [] },
    { title: "a sample", page: `a{b="c",} 1\n${end}`, entries: [["__name__=a,b=c", 1]] },
    { title: "a quoted name", page: `{"a.b",c="d"} 1\n${end}`, entries: [["__name__=a.b,c=d", 1]] },
    { title: "a newline in a quoted name", page: `{"a\nb"} 1\n${end}`, entries: [["__name__=a\nb", 1]] },
    {
      title: "escapes in a label value",
      page: `a{b="\\n\\"\\\\\\x"} 1\n${end}`,
      entries: [['__name__=a,b=\n"\\\\x', 1]],
    },
    { title: "a timestamp", page: `a 1 1.5e3\n${end}`, entries: [["__name__=a", 1, 1_500_000]] },
    { title: "a negative timestamp", page: `a 1 -0.0019\n${end}`, entries: [["__name__=a", 1, -1]] },
    { title: "a timestamp cut to milliseconds", page: `a 1 -0.0001\n${end}`, entries: [["__name__=a", 1, 0]] },
    { title: "a timestamp that overflows", page: `a 1 1e300\n${end}`, entries: [["__name__=a", 1, -(2 ** 63)]] },
    {
      title: "an exemplar",
      page: `a 1 # {b="c"} 2\n${end}`,
      entries: [["__name__=a", 1, undefined, ["b=c", 2, undefined]]],
    },
    {
      title: "an exemplar with times",
      page: `a 1 2 # {} 3 4.5\n${end}`,
      entries: [["__name__=a", 1, 2000, ["", 3, 4500]]],
    },
    {
      title: "an exemplar's escapes literally",
      page: `a 1 # {"b.c"="\\n",} 2\n${end}`,
      entries: [["__name__=a", 1, undefined, ["b.c=\\n", 2, undefined]]],
    },
    {
      title: "an exemplar of a gauge",
      page: `# TYPE a gauge\na 1 # {} 2\n${end}`,
      entries: [
        ["type", "a", "gauge"],
        ["__name__=a", 1, undefined, ["", 2, undefined]],
      ],
    },
    { title: "HELP escapes", page: `# HELP a \\" \\n \\\\ \\x\n${end}`, entries: [["help", "a", '" \n \\ \\x']] },
    { title: "empty HELP", page: `# HELP a \n${end}`, entries: [["help", "a", ""]] },
    {
      title: "every type",
      page: `# TYPE a unknown\n# TYPE a gaugehistogram\n${end}`,
      entries: [
        ["type", "a", "unknown"],
        ["type", "a", "gaugehistogram"],
      ],
    },
    { title: "a unit", page: `# UNIT a_seconds seconds\n${end}`, entries: [["unit", "a_seconds", "seconds"]] },
    { title: "an empty unit", page: `# UNIT a \n${end}`, entries: [["unit", "a", ""]] },
    { title: "NUL in a label value", page: `a{b="\0c"} 1\n${end}`, entries: [["__name__=a,b=\0c", 1]] },
    {
      title: "le of a histogram",
      page: `# TYPE a histogram\na{le="5"} 1\n${end}`,
      entries: [
        ["type", "a", "histogram"],
        ["__name__=a,le=5.0", 1],
      ],
    },
    {
      title: "le of a gauge histogram",
      page: `# TYPE a gaugehistogram\na{le="5"} 1\n${end}`,
      entries: [
        ["type", "a", "gaugehistogram"],
        ["__name__=a,le=5", 1],
      ],
    },
  ];
  test.each(table)("$title", ({ page, entries }) => {
    expect(readOpenMetrics(page)).toEqual(entries);
  });
});

describe("refuses what Prometheus refuses", () => {
  const table: { title: string; page: string; line?: number; offset: number }[] = [
    { title: "an empty page", page: "", offset: 0 },
    { title: "a page without an end", page: "a 1\n", line: 2, offset: 4 },
    { title: "a sample without a newline", page: "a 1", offset: 3 },
    { title: "data behind the end", page: `${end}a 1\n`, line: 2, offset: 6 },
    { title: "a carriage return behind the end", page: "# EOF\r\n", offset: 5 },
    { title: "a blank line", page: `\n${end}`, offset: 0 },
    { title: "a leading blank", page: ` a 1\n${end}`, offset: 0 },
    { title: "a comment", page: `# a\n${end}`, offset: 0 },
    { title: "a hash sign without a blank", page: `#HELP a b\n${end}`, offset: 0 },
    { title: "HELP without a blank behind the name", page: `# HELP a\n${end}`, offset: 8 },
    { title: "two blanks before a name", page: `# HELP  a b\n${end}`, offset: 7 },
    { title: "an unknown type", page: `# TYPE a untyped\n${end}`, offset: 9 },
    { title: "a unit that is no suffix", page: `# UNIT a_seconds ms\n${end}`, offset: 17 },
    { title: "a unit without an underscore", page: `# UNIT aseconds seconds\n${end}`, offset: 16 },
    { title: "a unit that is the name", page: `# UNIT s s\n${end}`, offset: 9 },
    { title: "metadata without a newline", page: "# TYPE a gauge", offset: 14 },
    { title: "a blank between labels", page: `a{b="c", d="e"} 1\n${end}`, offset: 8 },
    { title: "labels without a comma", page: `a{b="c"d="e"} 1\n${end}`, offset: 7 },
    { title: "two commas", page: `a{b="c",,} 1\n${end}`, offset: 8 },
    { title: "a blank before the braces", page: `a {b="c"} 1\n${end}`, offset: 2 },
    { title: "a newline in a label value", page: `a{b="c\nd"} 1\n${end}`, offset: 6 },
    { title: "a value without a blank", page: `a{b="c"}1\n${end}`, offset: 8 },
    { title: "two blanks before a value", page: `a  1\n${end}`, offset: 2 },
    { title: "a tab before a value", page: `a\t1\n${end}`, offset: 1 },
    { title: "a trailing blank", page: `a 1 \n${end}`, offset: 3 },
    { title: "a timestamp that is not finite", page: `a 1 +Inf\n${end}`, offset: 4 },
    { title: "a timestamp that is not a number", page: `a 1 NaN\n${end}`, offset: 4 },
    { title: "a hexadecimal timestamp", page: `a 1 0x1\n${end}`, offset: 4 },
    { title: "a comment behind a value", page: `a 1 # x\n${end}`, offset: 3 },
    { title: "something behind the timestamp", page: `a 1 2 3\n${end}`, offset: 5 },
    { title: "an exemplar without a value", page: `a 1 # {}\n${end}`, offset: 8 },
    { title: "a name in an exemplar", page: `a 1 # {"b"} 1\n${end}`, offset: 10 },
    { title: "a newline in an exemplar", page: `a 1 # {"b\n"="c"} 1\n${end}`, offset: 9 },
    { title: "NUL in an exemplar", page: `a 1 # {b="\0"} 1\n${end}`, offset: 10 },
    { title: "invalid UTF-8 in an exemplar", page: `a 1 # {b="\xff"} 1\n${end}`, offset: 9 },
    { title: "an exemplar's timestamp that is not finite", page: `a 1 # {} 1 NaN\n${end}`, offset: 11 },
    { title: "an exemplar at the end of the page", page: "a 1 # {} 1 2", offset: 12 },
    { title: "a second exemplar", page: `a 1 # {} 1 # {} 2\n${end}`, offset: 11 },
  ];
  test.each(table)("$title", ({ page, line = 1, offset }) => {
    const caught = catchFault(page);
    expect(caught).toMatchObject({ format: "openmetrics", offset });
    expect(caught.message).toContain(`openmetrics: line ${line}: `);
  });
});

function catchFault(page: string): DecodeError {
  try {
    readOpenMetrics(page);
  } catch (caught) {
    if (caught instanceof DecodeError) return caught;
    throw caught;
  }
  throw new Error("the page is valid");
}

test("names the bytes of series and value, and goes on at any line", () => {
  const page = Buffer.from('a{b="c"} 1.5 7\nb 2 # {} 3\n# EOF\n');
  const parser = createOpenMetricsParser(page);
  parser.next();
  expect(page.toString("latin1", parser.seriesStart, parser.seriesEnd)).toBe('a{b="c"}');
  expect(page.toString("latin1", parser.valueStart, parser.valueEnd)).toBe("1.5");
  expect(parser.offset).toBe(15);
  parser.next();
  expect(parser.exemplar).toEqual({ labels: [], value: 3, timestampMs: undefined });
  expect(parser.next()).toBe("end");
  parser.seek(0);
  expect([parser.next(), parser.exemplar, parser.timestampMs]).toEqual(["series", undefined, 7000]);
});
