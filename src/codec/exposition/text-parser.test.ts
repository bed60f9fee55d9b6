import { describe, expect, test } from "vitest";
import { DecodeError } from "../../model/errors.ts";
import { createTextParser } from "./parser.ts";

type Entry = readonly unknown[];

/** Entries as arrays: series as [labels, value, timestamp?], metadata as [kind, name, text], comments as [kind]. */
function readText(page: string | Uint8Array): Entry[] {
  const parser = createTextParser(typeof page === "string" ? Buffer.from(page, "latin1") : page);
  const entries: Entry[] = [];
  for (let kind = parser.next(); kind !== "end"; kind = parser.next()) {
    if (kind === "comment") entries.push([kind]);
    else if (kind !== "series") entries.push([kind, parser.metricName, parser.text]);
    else {
      const entry = [
        parser
          .labels()
          .map((label) => label.join("="))
          .join(","),
        parser.value,
      ];
      entries.push(parser.timestampMs === undefined ? entry : [...entry, parser.timestampMs]);
    }
  }
  return entries;
}

function faultOf(page: string): DecodeError {
  try {
    readText(page);
  } catch (caught) {
    if (caught instanceof DecodeError) return caught;
    throw caught;
  }
  throw new Error("the page is valid");
}

describe("accepts what Prometheus accepts", () => {
  const table: { title: string; page: string; entries: Entry[] }[] = [
    { title: "an empty page", page: "", entries: [] },
    { title: "blank lines and blanks alone", page: "\n \t\n\n", entries: [] },
    { title: "a page without a final newline", page: "a 1", entries: [["__name__=a", 1]] },
    { title: "a value glued to the braces", page: 'a{b="c"}1\n', entries: [["__name__=a,b=c", 1]] },
    {
      title: "a value glued to the name",
      page: "a+1\nb.5\n",
      entries: [
        ["__name__=a", 1],
        ["__name__=b", 0.5],
      ],
    },
    { title: "blanks around every token", page: 'a { b = "c" , } \t 1 \t 2 \t\n', entries: [["__name__=a,b=c", 1, 2]] },
    { title: "labels without commas", page: 'a{b="c"d="e" f="g"} 1\n', entries: [["__name__=a,b=c,d=e,f=g", 1]] },
    { title: "one trailing comma", page: 'a{b="c",} 1\n', entries: [["__name__=a,b=c", 1]] },
    { title: "empty braces", page: "a{} 1\n", entries: [["__name__=a", 1]] },
    { title: "a leading tab as part of the name", page: "\ta 1\n", entries: [["__name__=\ta", 1]] },
    { title: "a quoted name", page: '{"a.b"} 1\n', entries: [["__name__=a.b", 1]] },
    { title: "a quoted name behind labels", page: '{c="d", "a b"} 1\n', entries: [["__name__=a b,c=d", 1]] },
    { title: "an empty quoted name", page: '{""} 1\n', entries: [["__name__=", 1]] },
    { title: "quoted label names", page: 'a{"b.c"="d"} 1\n', entries: [["__name__=a,b.c=d", 1]] },
    { title: "escapes in names", page: '{"a\\"\\\\\\n","b\\""="c"} 1\n', entries: [['__name__=a"\\\n,b"=c', 1]] },
    { title: "escapes in label values", page: 'a{b="\\\\n\\"\\n"} 1\n', entries: [['__name__=a,b=\\n"\n', 1]] },
    { title: "unknown escapes literally", page: 'a{b="\\x\\t"} 1\n', entries: [["__name__=a,b=\\x\\t", 1]] },
    { title: "a raw newline in a label value", page: 'a{b="c\nd"} 1\n', entries: [["__name__=a,b=c\nd", 1]] },
    { title: "a colon in a metric name", page: "a:b:c 1\n", entries: [["__name__=a:b:c", 1]] },
    { title: "repeated labels", page: 'a{b="c",b="d"} 1\n', entries: [["__name__=a,b=c,b=d", 1]] },
    { title: "leading zeros of a timestamp", page: "a 1 007\n", entries: [["__name__=a", 1, 7]] },
    { title: "the largest timestamp", page: "a 1 9223372036854775807\n", entries: [["__name__=a", 1, 2 ** 63]] },
    { title: "a comment", page: "# a\n#b\n#\n# \n# HELPa\n", entries: Array(5).fill(["comment"]) },
    { title: "EOF as a comment", page: "# EOF\na 1\n", entries: [["comment"], ["__name__=a", 1]] },
    { title: "UNIT as a comment", page: "# UNIT a_s s\n", entries: [["comment"]] },
    { title: "HELP without a blank as a comment", page: "# HELP\n#HELP a b\n", entries: [["comment"], ["comment"]] },
    { title: "HELP behind tabs", page: "#\t \tHELP \t a b\n", entries: [["help", "a", "b"]] },
    {
      title: "HELP without text",
      page: "# HELP a\n# HELP a \n# HELP a  \n",
      entries: Array(3).fill(["help", "a", ""]),
    },
    { title: "HELP with blanks", page: "# HELP a  b \n", entries: [["help", "a", " b "]] },
    { title: "HELP escapes", page: '# HELP a \\\\ \\n \\" \\x\n', entries: [["help", "a", '\\ \n \\" \\x']] },
    { title: "HELP of a name cut short", page: "# HELP a-b c\n", entries: [["help", "a", "b c"]] },
    { title: "HELP of a quoted name", page: '# HELP "a b\\n" c\n', entries: [["help", "a b\\n", "c"]] },
    {
      title: "TYPE behind samples",
      page: "a 1\n# TYPE a gauge",
      entries: [
        ["__name__=a", 1],
        ["type", "a", "gauge"],
      ],
    },
    { title: "TYPE behind a tab", page: "# TYPE a\tuntyped\n", entries: [["type", "a", "untyped"]] },
    { title: "NUL in a label value", page: 'a{b="\0c\0"} 1\n', entries: [["__name__=a,b=\0c\0", 1]] },
    { title: "NUL behind a label value", page: 'a{b="c"\0\0} 1\n', entries: [['__name__=a,b=c"\0', 1]] },
    { title: "NUL in HELP", page: "# HE\0LP a b\0c\n", entries: [["help", "a", "b\0c"]] },
    { title: "nothing behind a NUL line", page: "a 1\n\0\nb 2\n", entries: [["__name__=a", 1]] },
    { title: "nothing behind a NUL in a bare comment", page: "#a\0b\nb 2\n", entries: [] },
    { title: "nothing behind a NUL that begins a comment", page: "# \0b\nb 2\n", entries: [] },
  ];
  test.each(table)("$title", ({ page, entries }) => {
    expect(readText(page)).toEqual(entries);
  });
});

describe("refuses what Prometheus refuses", () => {
  const table: { title: string; page: string; line?: number; offset: number }[] = [
    { title: "a name alone", page: "a", offset: 1 },
    { title: "a name and a blank", page: "a \n", offset: 2 },
    { title: "a bad first byte", page: "b 1\n1a 1\n", line: 2, offset: 4 },
    { title: "single quotes", page: "a{b='c'} 1\n", offset: 4 },
    { title: "a label value that is missing", page: "a{b=\n", offset: 4 },
    { title: "a label name that is no name", page: 'a{\xff="b"} 1\n', offset: 2 },
    { title: "a label name that is missing", page: 'a{=""} 0', offset: 2 },
    { title: "a colon in a label name", page: 'a{b:c="d"} 0', offset: 3 },
    { title: "two commas", page: 'a{b="c",,} 0', offset: 8 },
    { title: "a comma first", page: "a{,} 0", offset: 2 },
    { title: "a label without a value", page: "{A}0", offset: 2 },
    { title: "a series without a name", page: '{a="ok"} 1', offset: 0 },
    { title: "a second name", page: 'a{"b"} 1', offset: 2 },
    { title: "a second quoted name", page: '{"a","b"} 1', offset: 5 },
    { title: "a quoted label name without equal sign", page: '{"a", "b = "c"}', offset: 12 },
    { title: "a newline between labels", page: 'a{b="c",\nd="e"} 1', offset: 8 },
    { title: "an unterminated label value", page: 'a{b="', offset: 5 },
    { title: "an escaped raw newline", page: 'a{b="\\\n"} 1', offset: 6 },
    { title: "invalid UTF-8 in a label value", page: 'a{b="\xff"} 1\n', offset: 4 },
    { title: "a surrogate in a label value", page: 'a{b="\xed\xa0\x80"} 1\n', offset: 4 },
    { title: "invalid UTF-8 in a name", page: '{"\xff"} 1\n', offset: 1 },
    { title: "invalid UTF-8 in HELP", page: "# HELP a \xff\n", offset: 9 },
    { title: "a word as value", page: "a true\n", offset: 2 },
    { title: "an underscore in a value", page: "a 1_2\n", offset: 2 },
    { title: "a hexadecimal value", page: "a 0x1p-3\n", offset: 2 },
    { title: "a value that overflows", page: "a 1e400\n", offset: 2 },
    { title: "a carriage return", page: "a 1\r\n", offset: 2 },
    { title: "a value followed by a brace", page: "a 1{} 2\n", offset: 3 },
    { title: "a negative timestamp", page: "a 1 -2\n", offset: 4 },
    { title: "a fractional timestamp", page: "a 1 2.5\n", offset: 5 },
    { title: "a timestamp that overflows", page: "a 1 9223372036854775808\n", offset: 4 },
    { title: "something behind the timestamp", page: "a 1 2 3\n", offset: 6 },
    { title: "an exemplar", page: 'a 1 # {b="c"} 1\n', offset: 4 },
    { title: "TYPE without a name", page: "# TYPE #\n", offset: 7 },
    { title: "HELP without a name", page: "# HELP \n", offset: 7 },
    { title: "an unknown type", page: "# TYPE a unknown\n", offset: 9 },
    { title: "a type in upper case", page: "# TYPE a Gauge\n", offset: 9 },
    { title: "two blanks before a type", page: "# TYPE a  gauge\n", offset: 9 },
    { title: "a blank behind a type", page: "# TYPE a gauge \n", offset: 9 },
    { title: "NUL before a label value", page: 'a{b=\0"c"} 1\n', offset: 4 },
    { title: "NUL in a label name", page: 'a{b\0="c"} 1\n', offset: 3 },
    { title: "NUL in a name", page: "a\0 1\n", offset: 1 },
    { title: "NUL in a quoted name", page: '{"a\0"} 1\n', offset: 3 },
    { title: "NUL behind a timestamp", page: "a 0 1\0", offset: 5 },
    { title: "NUL behind the name in HELP", page: "# HELP a\0 b\n", offset: 8 },
  ];
  test.each(table)("$title", ({ page, line = 1, offset }) => {
    const fault = faultOf(page);
    expect(fault).toMatchObject({ format: "text", offset });
    expect(fault.message).toContain(`text: line ${line}: `);
  });
});

describe("label numbers", () => {
  const table = [
    { title: "le after TYPE histogram", page: '# TYPE a histogram\na_bucket{le="1"} 1\n', label: "le=1.0" },
    { title: "le of another family", page: '# TYPE a histogram\nb{le="1e+05"} 1\n', label: "le=100000.0" },
    { title: "le after TYPE gauge", page: '# TYPE a gauge\na{le="1"} 1\n', label: "le=1" },
    { title: "le before any TYPE", page: 'a{le="1"} 1\n# TYPE a histogram\n', label: "le=1" },
    { title: "le after TYPE summary", page: '# TYPE a summary\na{le="1"} 1\n', label: "le=1" },
    { title: "quantile after TYPE summary", page: '# TYPE a summary\na{quantile="1e-7"} 1\n', label: "quantile=1e-07" },
    { title: "a quoted le", page: '# TYPE a histogram\na{"le"="+inf"} 1\n', label: "le=+Inf" },
    { title: "a hexadecimal le", page: '# TYPE a histogram\na{le="0x1p4"} 1\n', label: "le=16.0" },
    { title: "le that is no number", page: '# TYPE a histogram\na{le="x"} 1\n', label: "le=x" },
    { title: "le that overflows", page: '# TYPE a histogram\na{le="1e999"} 1\n', label: "le=1e999" },
  ];
  test.each(table)("writes $title as $label", ({ page, label }) => {
    const series = readText(page).find(([kind]) => String(kind).startsWith("__name__"));
    expect(String(series?.[0]).split(",")[1]).toBe(label);
  });
});

describe("positions", () => {
  test("names the bytes of series and value", () => {
    const page = Buffer.from('  a {b="c"}  1.5  7 \nb 2\n');
    const parser = createTextParser(page);
    expect(parser.next()).toBe("series");
    expect(page.toString("latin1", parser.seriesStart, parser.seriesEnd)).toBe('  a {b="c"}');
    expect(page.toString("latin1", parser.valueStart, parser.valueEnd)).toBe("1.5");
    expect(parser.offset).toBe(page.indexOf("b 2"));
  });

  test("ends the series with the name where there are no braces", () => {
    const parser = createTextParser(Buffer.from("ab \t1\n"));
    parser.next();
    expect([parser.seriesStart, parser.seriesEnd, parser.valueStart]).toEqual([0, 2, 4]);
  });

  test("reads no further than the given length", () => {
    const parser = createTextParser(Buffer.from("a 12\nb 3\n"), 3);
    expect([parser.next(), parser.value, parser.next(), parser.offset]).toEqual(["series", 1, "end", 3]);
  });

  test("is used again after a fault", () => {
    const parser = createTextParser(Buffer.from("# TYPE a histogram\na !\n"));
    parser.next();
    expect(() => parser.next()).toThrow(DecodeError);
    parser.reset(Buffer.from("b 2"));
    expect([parser.state, parser.next(), parser.value, parser.next(), parser.next()]).toEqual([
      "",
      "series",
      2,
      "end",
      "end",
    ]);
  });
});
