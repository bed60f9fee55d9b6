/** Units, start times, traces, names that collide, and the labels that become resources, for `millrace run`. */

import { open, text } from "./run-texts.ts";
import { type OracleCase, slotMs } from "./scrape-oracle.ts";

/** The cases of this file. */
export function labelledCases(): OracleCase[] {
  return [
    units,
    created,
    createdInText,
    traces,
    colliding,
    typeChanges,
    suffixes,
    instanceUrl,
    federation,
    explicitFamilies,
    helpOnly,
    renamedFamilies,
    emptyReplacement,
    emptySeparator,
    newlineLabel,
  ];
}

const unitWords = [
  "seconds",
  "milliseconds",
  "bytes",
  "kilobytes",
  "mebibytes",
  "celsius",
  "percent",
  "meters_per_second",
  "bytes_per_minute",
  "ratio",
  "widgets",
  "widgets_per_month",
  "days",
  "hertz",
];

const units = open("units", (slot) =>
  unitWords.flatMap((unit, i) => [
    `# TYPE some_${unit} ${i % 2 === 0 ? "gauge" : "counter"}`,
    `# UNIT some_${unit} ${unit}`,
    `# HELP some_${unit} In ${unit}.`,
    `some_${unit}${i % 2 === 0 ? "" : "_total"} ${slot}`,
  ]),
);

/** Start times: with digits behind the second, one per series, one that changes, one alone. */
const created = open("created", (slot) => [
  "# TYPE a counter",
  `a_total{n="1"} ${slot}`,
  'a_created{n="1"} 1700000000.123456',
  `a_total{n="2"} ${slot}`,
  `a_created{n="2"} ${1700000000 + (slot >> 2)}`,
  `a_total{n="3"} ${slot}`,
  'a_created{n="4"} 1700000003',
  "# TYPE h histogram",
  'h_bucket{le="+Inf"} 1',
  "h_count 1",
  "h_sum 1",
  "h_created 1.6e9",
  "# TYPE s summary",
  's{quantile="0.5"} 1',
  "s_count 1",
  "s_sum 1",
  "s_created 0",
  "# TYPE g gauge",
  "g 1",
]);

const createdInText = text("created_in_text", (slot) => [
  "# TYPE a counter",
  `a_total ${slot}`,
  "a_created 1.7e9",
  "# TYPE b_total counter",
  `b_total ${slot}`,
  "b_created 1.7e9",
  "# TYPE plain counter",
  `plain ${slot}`,
  "plain_created 1.7e9",
  "# TYPE h histogram",
  'h_bucket{le="+Inf"} 1',
  "h_count 1",
  "h_sum 1",
  "h_created 1.6e9",
]);

const trace = "0102030405060708090a0b0c0d0e0f10";

const traces = open("traces", (slot, startMs) => [
  "# TYPE calls counter",
  `calls_total{n="1"} ${slot} # {trace_id="${trace}",span_id="0102030405060708"} ${slot}.5`,
  `calls_total{n="2"} ${slot} # {Trace_ID="${trace}",user="me",empty=""} 1 ${startMs / 1000}`,
  `calls_total{n="3"} ${slot} # {trace_id="short",span_id="zz"} 2`,
  `calls_total{n="4"} ${slot} # {trace_id="${"0".repeat(32)}"} 2`,
  "# TYPE size histogram",
  `size_bucket{le="1"} ${slot} # {trace_id="${trace}"} 0.5`,
  `size_bucket{le="2"} ${slot} # {b="2"} 1.5 ${startMs / 1000}`,
  `size_bucket{le="+Inf"} ${slot} # {c="3"} 99`,
  `size_count ${slot}`,
  "size_sum 1",
]);

/** Names and labels that become the same when they are made Prometheus' again. */
const colliding = text("colliding", (slot) => [
  "# TYPE c counter",
  `c ${slot}`,
  "# TYPE d_total counter",
  `d_total ${slot}`,
  "# TYPE d_seconds_total counter",
  `d_seconds_total ${slot}`,
  `__under ${slot}`,
  `a__b___c ${slot}`,
  `ratio{_private="1",__two="2",dots="a.b"} ${slot}`,
  `e{a_b="1",a__b="2"} ${slot}`,
  `colon:rate5m ${slot}`,
  "# TYPE total counter",
  `total ${slot}`,
  '{"http.requests", "a.b"="c", a_b="d"} 1',
  '{"1starts.with.digit", "1a"="x"} 2',
  '{"\u00fcber.gr\u00f6\u00dfe", "gr\u00f6\u00dfe"="x"} 3',
]);

const typeChanges = text("type_changes", (slot) => [
  `# TYPE turning ${["gauge", "counter", "untyped"][(slot >> 2) % 3]}`,
  `# HELP turning Version ${slot >> 2}.`,
  `turning ${slot}`,
  ...(slot % 8 < 4 ? ["# TYPE later histogram"] : []),
  'later_bucket{le="1"} 1',
  'later_bucket{le="+Inf"} 1',
  "later_sum 1",
  `later_count ${slot}`,
]);

/** Rows whose endings belong to families that are not what they look like. */
const suffixes = text("suffixes", (slot) => [
  "# TYPE jobs counter",
  `jobs_total ${slot}`,
  "# TYPE jobs_done_total counter",
  `jobs_done_total ${slot}`,
  "# TYPE item_count gauge",
  `item_count ${slot}`,
  "# TYPE mem_info gauge",
  `mem_info ${slot}`,
  "# TYPE app_info info",
  'app_info{v="1"} 1',
  "# TYPE queue_sum counter",
  `queue_sum ${slot}`,
  "# TYPE process_created gauge",
  "process_created 5",
  `lonely_total ${slot}`,
  `lonely_info ${slot}`,
  `lonely_created ${slot}`,
]);

/** `instance` as a URL without a port; `target_relabeled` has one with. */
const instanceUrl: OracleCase = {
  ...text("instance_url", (slot) => [`u ${slot}`], {
    relabel_configs: [{ target_label: "instance", replacement: "https://shop.example.org/path" }],
  }),
};

const federation: OracleCase = {
  ...text(
    "federation",
    (slot) => [
      "# TYPE up untyped",
      `up{job="far",instance="h:1"} 1`,
      `cpu{job="far",instance="h:1"} ${slot}`,
      `cpu{job="far",instance="h:2"} ${slot}`,
      `cpu{job="near",instance="[::1]:9"} ${slot}`,
      `cpu{job="near",instance="localhost:9"} ${slot}`,
      `cpu{job="near",instance="no-port"} ${slot}`,
      `cpu{job="near",instance="10.1.2.3:80"} ${slot}`,
    ],
    { honor_labels: true },
  ),
};

const explicitFamilies: OracleCase = {
  name: "explicit_families",
  explicit: true,
  page: (slot, startMs) => ({
    body: [
      "# TYPE h histogram",
      `h_bucket{le="1"} 1 ${startMs}`,
      `h_bucket{le="+Inf"} 2 ${startMs}`,
      `h_sum 3 ${startMs}`,
      `h_count 2 ${startMs}`,
      "# TYPE m histogram",
      `m_bucket{le="1"} 1 ${startMs}`,
      `m_bucket{le="+Inf"} 2 ${startMs}`,
      `m_sum 3 ${startMs - slotMs}`,
      `m_count 2 ${startMs}`,
      `g ${slot} ${startMs}`,
      `old ${slot} ${startMs - 3 * slotMs}`,
      "",
    ].join("\n"),
  }),
};

const helpOnly = text("help_only", (slot) => [
  "# HELP only_help Nobody said the type.",
  `only_help ${slot}`,
  "# HELP later_total Help of the row.",
  "# TYPE later counter",
  `later_total ${slot}`,
  "# HELP dup One.",
  "# HELP dup Two.",
  "# TYPE dup counter",
  `dup ${slot}`,
  `afterwards ${slot}`,
  "# TYPE afterwards counter",
  "# HELP afterwards Said behind the row.",
]);

/** Type and metadata follow a rename in Millrace; otelcol-contrib loses them. */
const renamedFamilies = text(
  "renamed_families",
  (slot) => [
    "# HELP old_requests_total Requests.",
    "# TYPE old_requests_total counter",
    `old_requests_total ${slot}`,
    "# TYPE old_seconds histogram",
    'old_seconds_bucket{le="1"} 1',
    'old_seconds_bucket{le="+Inf"} 2',
    "old_seconds_sum 1",
    `old_seconds_count ${slot}`,
    "# TYPE kept_total counter",
    `kept_total ${slot}`,
  ],
  {
    metric_relabel_configs: [
      { source_labels: ["__name__"], regex: "old_(.*)", target_label: "__name__", replacement: "new_$1" },
    ],
  },
);

const emptyReplacement = text("empty_replacement", (slot) => [`r{a="1",b="2"} ${slot}`], {
  metric_relabel_configs: [{ source_labels: ["a"], target_label: "b", replacement: "" }],
});

const emptySeparator = text("empty_separator", (slot) => [`r{a="1",b="2"} ${slot}`], {
  metric_relabel_configs: [{ source_labels: ["a", "b"], separator: "", target_label: "both" }],
});

const newlineLabel: OracleCase = {
  ...text("newline_label", (slot) => [`r ${slot}`]),
  labels: { lines: "\n", two: "a\nb" },
};
