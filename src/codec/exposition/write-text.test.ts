import fc from "fast-check";
import { expect, test } from "vitest";
import { createOpenMetricsParser, createTextParser, type ExpositionParser } from "./parser.ts";
import { type WritableFamily, writeExposition } from "./write-text.ts";

const families: WritableFamily[] = [
  {
    name: "sent_total",
    type: "counter",
    help: 'What was "sent"\n\\ counted.',
    samples: [
      { suffix: "", labels: { to: 'a"b\\c\nd' }, value: 1234567 },
      { suffix: "", labels: {}, value: 0 },
    ],
  },
  { name: "unused", type: "gauge", help: "Has no samples.", samples: [] },
  {
    name: "delay.seconds",
    type: "histogram",
    help: "",
    samples: [
      { suffix: "_bucket", labels: { le: "1", "the key": "x" }, value: 2 },
      { suffix: "_bucket", labels: { le: "+Inf" }, value: 3 },
      { suffix: "_sum", labels: {}, value: Number.NaN },
    ],
  },
  { name: "odd", type: "unknown", help: "", samples: [{ suffix: "", labels: {}, value: 1.5 }] },
];

test("writes the text format", () => {
  expect(writeExposition(families, "text").split("\n")).toEqual([
    '# HELP sent_total What was "sent"\\n\\\\ counted.',
    "# TYPE sent_total counter",
    'sent_total{to="a\\"b\\\\c\\nd"} 1.234567e+06',
    "sent_total 0",
    '# TYPE "delay.seconds" histogram',
    '{"delay.seconds_bucket",le="1","the key"="x"} 2',
    '{"delay.seconds_bucket",le="+Inf"} 3',
    '{"delay.seconds_sum"} NaN',
    "# TYPE odd untyped",
    "odd 1.5",
    "",
  ]);
});

test("writes OpenMetrics", () => {
  expect(writeExposition(families, "openmetrics").split("\n")).toEqual([
    '# HELP sent What was \\"sent\\"\\n\\\\ counted.',
    "# TYPE sent counter",
    'sent_total{to="a\\"b\\\\c\\nd"} 1.234567e+06',
    "sent_total 0.0",
    '# TYPE "delay.seconds" histogram',
    '{"delay.seconds_bucket",le="1.0","the key"="x"} 2.0',
    '{"delay.seconds_bucket",le="+Inf"} 3.0',
    '{"delay.seconds_sum"} NaN',
    "# TYPE odd unknown",
    "odd 1.5",
    "# EOF",
    "",
  ]);
});

test("an empty page is valid in both formats", () => {
  expect(writeExposition([], "text")).toBe("");
  expect(writeExposition([], "openmetrics")).toBe("# EOF\n");
});

/** Labels and value of a page with one family, one sample. */
function readOne(parser: ExpositionParser): unknown[] {
  expect([parser.next(), parser.next(), parser.next()]).toEqual(["help", "type", "series"]);
  return [parser.labels(), parser.value];
}

test("what is written is read back, whatever the names and texts", () => {
  const text = fc.string({ minLength: 1, unit: "binary" }).filter((value) => value.isWellFormed());
  const label = text.filter((name) => name !== "le" && name !== "quantile" && !/^\d+$|^__proto__$/.test(name));
  fc.assert(
    fc.property(text, label, text, fc.double(), (name, labelName, labelValue, value) => {
      const sample = { suffix: "", labels: { [labelName]: labelValue }, value };
      const family: WritableFamily = { name, type: "gauge", help: "h", samples: [sample] };
      // NUL in a name cannot be written in either format.
      fc.pre(!`${name}${labelName}`.includes("\0"));
      for (const format of ["text", "openmetrics"] as const) {
        const page = Buffer.from(writeExposition([family], format));
        const parser = format === "text" ? createTextParser(page) : createOpenMetricsParser(page);
        const [labels, read] = readOne(parser);
        expect(labels).toEqual([
          ["__name__", name],
          [labelName, labelValue],
        ]);
        expect(read).toBe(Object.is(value, -0) && format === "openmetrics" ? 0 : value);
      }
    }),
  );
});
