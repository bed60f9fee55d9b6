/** Pages whose rows become metrics of OTLP: families whole and odd, resources, scopes, start times, collisions of names. */

import { labelledCases } from "./run-cases-labels.ts";
import { open, text } from "./run-texts.ts";
import type { OracleCase } from "./scrape-oracle.ts";

/** The cases of this file. */
export function runCases(): OracleCase[] {
  return [
    histograms,
    oddHistograms,
    oddSummaries,
    comingHistograms,
    targetInfo,
    targetInfoOfOthers,
    scopes,
    scopeInfo,
    openMetricsFamilies,
    { ...openMetricsFamilies, name: "families_without_limits", job: { honor_timestamps: false } },
    ...labelledCases(),
  ];
}

function histogram(name: string, counts: readonly (readonly [string, number | string])[], labels = ""): string[] {
  const others = labels === "" ? "" : `${labels},`;
  return counts.map(([le, count]) => `${name}_bucket{${others}le="${le}"} ${count}`);
}

const histograms = text("histograms", (slot) => [
  "# HELP req_seconds Time of a request.",
  "# TYPE req_seconds histogram",
  ...["a", "b"].flatMap((path) => [
    ...histogram(
      "req_seconds",
      [
        ["0.005", slot],
        ["0.5", slot * 2],
        ["1", slot * 2 + 1],
        ["1e+06", slot * 2 + 1],
        ["+Inf", slot * 2 + 3],
      ],
      `path="${path}"`,
    ),
    `req_seconds_sum{path="${path}"} ${slot}.25`,
    `req_seconds_count{path="${path}"} ${slot * 2 + 3}`,
  ]),
  "# TYPE size_bytes summary",
  `size_bytes{quantile="0"} ${slot}`,
  'size_bytes{quantile="0.50"} 2.5',
  'size_bytes{quantile="0.99"} NaN',
  'size_bytes{quantile="1"} 3e9',
  "size_bytes_sum 1e10",
  `size_bytes_count ${slot}`,
]);

/** Histograms that lack rows, that are out of order, or whose numbers make no sense. */
const oddHistograms = text("odd_histograms", (slot) => {
  const buckets = [
    ["1", 1],
    ["2", 3],
    ["+Inf", 4],
  ] as const;
  const family = (name: string, rows: readonly string[]) => [`# TYPE ${name} histogram`, ...rows];
  return [
    ...family("sumless", [...histogram("sumless", buckets), "sumless_count 4"]),
    ...family("countless", [...histogram("countless", buckets), "countless_sum 4"]),
    ...family("no_inf", [...histogram("no_inf", buckets.slice(0, 2)), "no_inf_count 4", "no_inf_sum 1"]),
    ...family("only_inf", [...histogram("only_inf", buckets.slice(2)), "only_inf_count 4", "only_inf_sum 1"]),
    ...family("no_buckets", [`no_buckets_count ${slot}`, "no_buckets_sum 1"]),
    ...family("unsorted", [
      ...histogram("unsorted", [buckets[2], buckets[1], buckets[0]]),
      "unsorted_sum 2",
      "unsorted_count 4",
    ]),
    ...family("inf_differs", [...histogram("inf_differs", buckets), "inf_differs_count 9"]),
    ...family("fractions", [
      ...histogram("fractions", [
        ["1", "1.5"],
        ["+Inf", "2.75"],
      ]),
      "fractions_count 2.75",
      "fractions_sum 0.125",
    ]),
    ...family("without_le", ["without_le_bucket 1", ...histogram("without_le", buckets), "without_le_count 4"]),
    ...family("bad_le", [...histogram("bad_le", [["many", 1], ...buckets]), "bad_le_count 4", "bad_le_sum 1"]),
    ...family("nan_sum", [...histogram("nan_sum", buckets), "nan_sum_count 4", "nan_sum_sum NaN"]),
    ...family("negative", [
      ...histogram("negative", [
        ["-1", 1],
        ["0", 2],
        ["+Inf", 4],
      ]),
      "negative_count 4",
      "negative_sum -5",
    ]),
    ...family("mixed", ["mixed 1", 'mixed{a="1"} 2', ...histogram("mixed", buckets), "mixed_count 4", "mixed_sum 1"]),
    'undeclared_bucket{le="1"} 1',
    'undeclared_bucket{le="+Inf"} 2',
    "undeclared_sum 1",
    "undeclared_count 2",
    'gauge_with_le{le="1",quantile="0.5"} 1',
  ];
});

/** Histograms and summaries whose counts contradict one another or are none; otelcol-contrib sends them all the same. */
export const brokenHistograms: OracleCase = text("broken_histograms", (slot) => {
  const family = (name: string, counts: readonly (readonly [string, number | string])[], count: number | string) => [
    `# TYPE ${name} histogram`,
    ...histogram(name, counts),
    `${name}_count ${count}`,
    `${name}_sum ${slot}`,
  ];
  return [
    ...family(
      "decreasing",
      [
        ["1", 5],
        ["2", 3],
        ["+Inf", 6],
      ],
      6,
    ),
    ...family(
      "over_count",
      [
        ["1", 5],
        ["2", 8],
        ["+Inf", 6],
      ],
      6,
    ),
    ...family(
      "nan_bucket",
      [
        ["1", "NaN"],
        ["2", 3],
        ["+Inf", 6],
      ],
      6,
    ),
    ...family(
      "nan_count",
      [
        ["1", 1],
        ["2", 3],
        ["+Inf", 6],
      ],
      "NaN",
    ),
    ...family(
      "negative_count",
      [
        ["1", -1],
        ["+Inf", 6],
      ],
      6,
    ),
    ...family("no_numbers", [["1", "NaN"]], "NaN"),
    ...family(
      "infinite",
      [
        ["1", "+Inf"],
        ["2", "+Inf"],
      ],
      "+Inf",
    ),
    ...family(
      "too_large",
      [
        ["1", "1e18"],
        ["2", "1.2e19"],
        ["4", "1e30"],
      ],
      "1e30",
    ),
    ...family("below_zero", [["1", -3]], "-1e30"),
    ...family(
      "parts",
      [
        ["1", 2.75],
        ["2", 1.5],
        ["4", "9007199254740993"],
        ["8", 0.5],
      ],
      -0.5,
    ),
    ...family(
      "bounds",
      ["-1e+05", "0", "5e-324", "1e-07", "0.50", ".75", "+1", "2.50", "NaN", "1e21", "0.25", "text", "Inf"].map(
        (le, i) => [le, (i * 7) % 5] as const,
      ),
      3,
    ),
    "# TYPE summary summary",
    'summary{quantile="0.5"} -1',
    'summary{quantile="nan"} 2',
    'summary{quantile="0.25"} 3',
    "summary_sum NaN",
    "summary_count NaN",
    'summary_count{a="1"} -2.5',
    "# TYPE whole histogram",
    ...histogram("whole", [
      ["1", slot],
      ["+Inf", slot],
    ]),
    `whole_count ${slot}`,
    "whole_sum 1",
  ];
});

const oddSummaries = text("odd_summaries", (slot) => [
  "# TYPE countless summary",
  'countless{quantile="0.5"} 1',
  "countless_sum 1",
  "# TYPE sumless summary",
  `sumless{quantile="0.5"} ${slot}`,
  "sumless_count 1",
  "# TYPE bare summary",
  "bare_sum 1",
  `bare_count ${slot}`,
  "# TYPE unsorted summary",
  'unsorted{quantile="0.9"} 9',
  'unsorted{quantile="0.1"} 1',
  "unsorted_sum 1",
  "unsorted_count 2",
  "# TYPE bad_quantile summary",
  'bad_quantile{quantile="most"} 9',
  "bad_quantile_sum 1",
  "bad_quantile_count 2",
  "# TYPE no_quantile summary",
  "no_quantile 9",
  "no_quantile_sum 1",
  "no_quantile_count 2",
  "# TYPE fractions summary",
  "fractions_sum 1.5",
  "fractions_count 2.5",
]);

/** Points that come, lose a bucket, and go. */
const comingHistograms = text("coming_histograms", (slot) => {
  const rows = ["# TYPE h histogram", "# TYPE s summary", "# TYPE c counter"];
  if (slot % 3 !== 2) {
    const buckets: [string, number][] = [
      ["1", slot],
      ["+Inf", slot],
    ];
    if (slot % 3 === 0 || slot % 4 === 0) buckets.splice(1, 0, ["2", slot]);
    rows.push(...histogram("h", buckets), `h_sum ${slot}`, `h_count ${slot}`);
  }
  if (slot % 4 < 2) rows.push(`s{quantile="0.5"} ${slot}`, "s_sum 1", "s_count 1");
  if (slot % 2 === 0) rows.push(`c_total ${slot}`);
  rows.push(`c_total{always="1"} ${slot}`);
  return rows;
});

const targetInfo = text("target_info", (slot) => [
  "# TYPE target_info gauge",
  `target_info{service_version="1.${slot >> 2}",deployment="blue",empty="",k8s_pod_name="p-1"} 1`,
  "# TYPE hits counter",
  `hits_total ${slot}`,
  "load 1",
]);

/** Resources of other jobs on the same page, with and without words about themselves. */
const targetInfoOfOthers: OracleCase = text(
  "target_info_of_others",
  (slot) => [
    `hits_total{job="one",instance="a:1"} ${slot}`,
    'target_info{job="one",instance="a:1",color="red"} 1',
    `hits_total{job="two",instance="b:2"} ${slot}`,
    'target_info{job="three",instance="c:3",color="blue"} 1',
    `hits_total{job="",instance=""} ${slot}`,
    `hits_total ${slot + 1}`,
  ],
  { honor_labels: true },
);

const scopes = text("scopes", (slot) => [
  "# TYPE calls counter",
  `calls_total{otel_scope_name="lib.a",otel_scope_version="1.2"} ${slot}`,
  `calls_total{otel_scope_name="lib.a",otel_scope_version="1.3"} ${slot + 1}`,
  `calls_total{otel_scope_name="lib.b",otel_scope_schema_url="https://example.org/s",otel_scope_color="red"} ${slot}`,
  `calls_total{otel_scope_version="only"} ${slot}`,
  `calls_total{otel_scope_color="blue"} ${slot}`,
  'calls_total{otel_scope_name="",x="1"} 1',
  "# TYPE h histogram",
  'h_bucket{otel_scope_name="lib.a",le="1"} 1',
  'h_bucket{otel_scope_name="lib.a",le="+Inf"} 2',
  'h_sum{otel_scope_name="lib.a"} 3',
  'h_count{otel_scope_name="lib.a"} 2',
]);

/** In a case of its own: otelcol-contrib 0.155 hides the metric and gives its labels to the scope. */
const scopeInfo = text("scope_info", (slot) => [
  "# TYPE otel_scope_info gauge",
  'otel_scope_info{otel_scope_name="lib.a",otel_scope_version="1",library_mascot="bear"} 1',
  `calls_total{otel_scope_name="lib.a",otel_scope_version="1"} ${slot}`,
]);

const openMetricsFamilies = open("openmetrics_families", (slot) => [
  "# TYPE requests counter",
  "# HELP requests Requests that came.",
  `requests_total{code="200"} ${slot}.0`,
  'requests_created{code="200"} 1.7e9',
  "# TYPE latency_seconds histogram",
  "# UNIT latency_seconds seconds",
  '# HELP latency_seconds How long \\"it\\" took.',
  'latency_seconds_bucket{le="0.1"} 1',
  `latency_seconds_bucket{le="+Inf"} ${slot}`,
  "latency_seconds_sum 1",
  `latency_seconds_count ${slot}`,
  "latency_seconds_created 1700000000.5",
  "# TYPE build info",
  'build_info{version="1"} 1',
  "# TYPE mode stateset",
  `mode{mode="on"} ${slot % 2}`,
  `mode{mode="off"} ${1 - (slot % 2)}`,
  "# TYPE some unknown",
  `some ${slot}`,
  "# TYPE rpc summary",
  'rpc{quantile="0.5"} 1',
  "rpc_count 1",
  "rpc_sum 1",
  "rpc_created 1700000001.25",
]);

/** Gauge histograms are read as otelcol-contrib reads them. */
export const gaugeHistograms: OracleCase = open("gauge_histograms", (slot) => [
  "# TYPE sizes gaugehistogram",
  'sizes_bucket{le="1"} 1',
  `sizes_bucket{le="+Inf"} ${slot}`,
  `sizes_gcount ${slot}`,
  "sizes_gsum 3",
]);
