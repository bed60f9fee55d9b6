/** Pages of ordinary exporters and their turns: values, series that come and go, answers of HTTP. */

import type { Page } from "./page-exporter.ts";
import type { ExpectedSample, OracleCase } from "./scrape-oracle.ts";

export const openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/** The cases of this file. */
export function pageCases(): OracleCase[] {
  return [
    fromSamples("plain", plain),
    fromSamples("come_and_go", comeAndGo),
    fromSamples("churn", churn),
    fromSamples("zipped", plain, { gzip: true }),
    fromSamples("zipped_in_pieces", plain, { gzip: true, chunkBytes: 100 }),
    fromSamples("in_pieces", plain, { chunkBytes: 7 }),
    { ...fromSamples("not_zipped", plain, { gzip: true }), job: { enable_compression: false } },
    floats,
    statuses,
    contentTypes,
    { ...contentTypes, name: "content_types_fallback", job: { fallback_scrape_protocol: "PrometheusText0.0.4" } },
    redirects,
    { name: "redirect_end", page: () => okPage },
    fromSamples("large", large, { gzip: true, chunkBytes: 4096 }),
    zipFaults,
    spellings,
    families,
  ];
}

function fromSamples(name: string, samples: (slot: number) => ExpectedSample[], page?: Partial<Page>): OracleCase {
  return { name, page: (slot) => ({ ...page, body: render(samples(slot)) }), expected: samples };
}

/** Text of samples as Go's exporters print them. */
export function render(samples: readonly ExpectedSample[]): string {
  return samples
    .map(({ name, labels = {}, value }) => {
      const pairs = Object.entries(labels).map(([key, text]) => `${key}=${JSON.stringify(text)}`);
      return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${formatNumber(value)}\n`;
    })
    .join("");
}

function formatNumber(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  if (Object.is(value, -0)) return "-0";
  return value >= 1e6 ? value.toExponential() : String(value);
}

function plain(slot: number): ExpectedSample[] {
  const samples: ExpectedSample[] = [{ name: "requests_total", value: 1000 + slot }];
  for (const method of ["get", "post"]) {
    samples.push({ name: "calls_total", labels: { method }, value: slot * 1.5 });
    samples.push({ name: "calls_total", labels: { method, code: "500" }, value: 1e6 * slot + 0.25 });
  }
  samples.push({ name: "steady", labels: { path: 'C:\\dir "x"\nend' }, value: 7 });
  samples.push({ name: "temperature", labels: { room: "Küche" }, value: -slot / 3 });
  return samples;
}

function comeAndGo(slot: number): ExpectedSample[] {
  const samples: ExpectedSample[] = [];
  for (const every of [2, 3, 5, 7]) {
    if (slot % every === 0) samples.push({ name: "each", labels: { every: String(every) }, value: slot });
  }
  if (slot % 4 < 2) samples.push({ name: "pair", labels: { half: "first" }, value: slot });
  else samples.push({ name: "pair", labels: { half: "second" }, value: slot });
  // Another order of the same lines in each slot.
  return slot % 2 === 0 ? samples : samples.reverse();
}

function churn(slot: number): ExpectedSample[] {
  return Array.from({ length: 50 }, (_, i) => ({
    name: "churning",
    labels: { id: String(slot * 25 + i), kind: i % 2 === 0 ? "even" : "odd" },
    value: i + slot,
  }));
}

/** Many series: half of the values move, some series give way to others. */
function large(slot: number): ExpectedSample[] {
  return Array.from({ length: 1500 }, (_, i) => ({
    name: `large_${i % 20}`,
    labels: { id: String(i), version: i % 100 === 0 ? String(slot >> 2) : "1", text: "x".repeat(1 + (i % 40)) },
    value: i % 2 === 0 ? i : i * 1000 + slot,
  }));
}

const spelledNumbers: readonly (readonly [string, number])[] = [
  ["NaN", Number.NaN],
  ["nan", Number.NaN],
  ["+Inf", Number.POSITIVE_INFINITY],
  ["Inf", Number.POSITIVE_INFINITY],
  ["-inf", Number.NEGATIVE_INFINITY],
  ["infinity", Number.POSITIVE_INFINITY],
  ["-0", -0],
  ["-0.0", -0],
  ["0e0", 0],
  ["4.9e-324", 5e-324],
  ["2.2250738585072014e-308", 2.2250738585072014e-308],
  ["2.225073858507201e-308", 2.225073858507201e-308],
  ["1.7976931348623157e+308", Number.MAX_VALUE],
  ["1e-400", 0],
  ["0.30000000000000004", 0.1 + 0.2],
  ["0.1000000000000000055511151231257827021181583404541015625", 0.1],
  ["1e22", 1e22],
  ["1e23", 1e23],
  ["9007199254740993", 9007199254740992],
  ["123456789012345678", 123456789012345680],
  ["18446744073709551616", 18446744073709552000],
  ["1E5", 1e5],
  ["+1", 1],
  [".5", 0.5],
  ["5.", 5],
  ["00012", 12],
  ["1.234567e+06", 1234567],
  ["-1.5e-07", -1.5e-7],
  ["8.41e+21", 8.41e21],
  ["2.4703282292062328e-324", 5e-324],
  ["123.456e-2", 1.23456],
];

const floats: OracleCase = {
  name: "floats",
  page: (slot) => ({
    body: spelledNumbers
      .map((_, i) => `number{n="${i}"} ${spelledNumbers[(i + slot) % spelledNumbers.length]?.[0]}\n`)
      .join(""),
  }),
  expected: (slot) =>
    spelledNumbers.map((_, i) => ({
      name: "number",
      labels: { n: String(i) },
      value: spelledNumbers[(i + slot) % spelledNumbers.length]?.[1] ?? 0,
    })),
};

const okPage = { body: "fine 1\n" };
const okSamples: ExpectedSample[] = [{ name: "fine", value: 1 }];

const badAnswers: readonly Page[] = [
  { body: "fine 1\n", status: 500 },
  { body: "fine 1\n", status: 404 },
  { body: "fine 1\n", status: 201 },
  { body: "", status: 204 },
  { body: "fine 1\n", status: 302 },
  { body: "fine 1\n", status: 503, gzip: true },
];

/** Bad answers in even slots, good ones between them; then two bad ones in a row. */
const statuses: OracleCase = {
  name: "statuses",
  page: (slot) => (isFailing(slot) ? (badAnswers[(slot >> 1) % badAnswers.length] ?? okPage) : okPage),
  expected: (slot) => (isFailing(slot) ? "down" : okSamples),
};

function isFailing(slot: number): boolean {
  return slot % 2 === 0 || slot % 10 === 3;
}

const typeNames = [
  "text/html",
  "",
  "application/json",
  "text/plain",
  "TEXT/PLAIN; version=0.0.4",
  "text/plain; charset=utf-8; charset=utf-8",
  "text/plain;version=9.9.9",
  "application/openmetrics-text",
  ";;;",
  "text/plain, text/html",
  "application/vnd.google.protobuf; proto=x",
];

const contentTypes: OracleCase = {
  name: "content_types",
  page: (slot) => {
    if (slot % 2 === 1) return { body: `fine ${slot}\n` };
    if (slot % 22 === 4) return { body: "", contentType: "text/html" };
    const contentType = typeNames[(slot >> 1) % typeNames.length] ?? "";
    return { body: `fine ${slot}\n${contentType.startsWith("application/openm") ? "# EOF\n" : ""}`, contentType };
  },
};

const redirects: OracleCase = {
  name: "redirects",
  page: (slot) => {
    if (slot % 3 === 1) return { body: "", status: 302, headers: { location: "/redirect_end" } };
    if (slot % 3 === 2) return { body: "", status: 307, headers: { location: "/nowhere" } };
    return okPage;
  },
};

const zipFaults: OracleCase = {
  name: "zip_faults",
  page: (slot) => {
    if (slot % 2 === 1) return okPage;
    if (slot % 4 === 0) return { body: "fine 1\n", headers: { "content-encoding": "gzip" } };
    return { body: "fine 1\n", headers: { "content-encoding": "br" } };
  },
};

const buckets = [
  "0",
  "0.5",
  "1",
  "1.0",
  "1e-07",
  "1e+05",
  "2.50",
  "+1",
  "Inf",
  "+Inf",
  "NaN",
  "text",
  "5e-324",
  "1e21",
  "-0",
];

/** Bounds as texts: made uniform only after a TYPE line of a histogram or summary. */
const spellings: OracleCase = {
  name: "spellings",
  page: (slot) => {
    const type =
      ["# TYPE h histogram\n# TYPE s summary\n", "", "# TYPE s summary\n# TYPE h histogram\n"][slot % 3] ?? "";
    const lines = buckets.map((le, i) => `h_bucket{le="${le}"} ${i}\n`).join("");
    const quantiles = ["0.5", "0.50", ".9", "1", "1e-1"].map((q, i) => `s{quantile="${q}"} ${i}\n`).join("");
    const between = slot % 2 === 0 ? "# TYPE other gauge\n" : "";
    return {
      body: `${type}${lines}h_sum ${slot}\nh_count ${slot}\n${quantiles}s_sum 1\ns_count 2\n${between}h_bucket{le="7",late="1"} 1\n`,
    };
  },
};

const families: OracleCase = {
  name: "families",
  page: (slot) => ({
    body: [
      "# HELP first The first, with a \\\\ and a \\n break.",
      "# TYPE first counter",
      "first 1",
      "# TYPE second gauge",
      "# HELP second   blanks kept  ",
      'second{a="1",} 2',
      "# a comment",
      "#HELP not one",
      "#\tTYPE tabbed gauge",
      "tabbed 4",
      "late 5",
      "# TYPE late untyped",
      "# HELP only_help nothing follows",
      "# TYPE only_type summary",
      "# HELP twice one",
      "# HELP twice two",
      "# TYPE twice gauge",
      "# TYPE twice counter",
      "twice 6",
      "# HELP empty ",
      "# HELP",
      "",
      "   \t ",
      "untyped 7",
      `turns{slot="${slot % 2}"} ${slot}`,
      'spaced { a = "1" , b = "2" , } 8 ',
      'commaless{a="1"b="2"} 9',
      'empty_label{a="",b="x"} 10',
      'unknown_escape{a="\\x"} 11',
      'tabs{a="b"}\t\t12',
      'raw_newline{a="x\ny"} 13',
      "colon:name:sum 14",
      "_under 15",
      "no_newline 16",
    ].join("\n"),
  }),
};
