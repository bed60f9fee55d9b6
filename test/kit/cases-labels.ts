/** Labels, timestamps, exemplars and relabeling: cases whose rules are in the configuration. */

import { openMetrics } from "./cases-pages.ts";
import { type OracleCase, slotMs } from "./scrape-oracle.ts";

/** The cases of this file. */
export function labelCases(): OracleCase[] {
  return [
    { ...conflicts, name: "honor_labels_off" },
    { ...conflicts, name: "honor_labels_on", job: { honor_labels: true } },
    { ...timestamps, name: "timestamps_honored", explicit: true },
    { ...timestamps, name: "timestamps_tracked", explicit: true, job: { track_timestamps_staleness: true } },
    { ...timestamps, name: "timestamps_ignored", job: { honor_timestamps: false } },
    twoTimes,
    openMetricsCase,
    { ...exemplars, explicit: true },
    relabeled,
    renamed,
    merged,
    targetRelabeled,
    quotedNames,
    { ...quotedNames, name: "quoted_names_escaped", job: { metric_name_escaping_scheme: "underscores" } },
    { ...quotedNames, name: "quoted_names_legacy", job: { metric_name_validation_scheme: "legacy" } },
    written,
    externalConflict,
    protocols,
    typesAndUnits,
  ];
}

const conflicts: OracleCase = {
  name: "conflicts",
  labels: { zone: "target", rack: "r1" },
  page: (slot) => ({
    body: [
      `plain ${slot}`,
      'own{job="exposed"} 1',
      'own{instance="exposed",job="x"} 2',
      'own{zone="exposed"} 3',
      'own{exported_zone="already",zone="exposed"} 4',
      'own{exported_exported_zone="deep",exported_zone="already",zone="exposed"} 5',
      'own{zone=""} 6',
      'own{exported_job="only"} 7',
      'own{rack="r1"} 8',
      `turn{zone="${slot % 3}"} ${slot}`,
      "",
    ].join("\n"),
  }),
};

/** Timestamps at whole slots, which no scrape begins at. */
const timestamps: OracleCase = {
  name: "timestamps",
  page: (slot, startMs) => ({
    body: [
      `now ${slot} ${startMs}`,
      `earlier ${slot} ${startMs - 2 * slotMs}`,
      `without ${slot}`,
      slot % 3 === 0 ? `sometimes ${slot} ${startMs}` : `sometimes ${slot}`,
      ...(slot % 4 < 2 ? [`gone ${slot} ${startMs}`] : []),
      ...(slot % 4 === 0 ? ["gone_without 1"] : []),
      `constant ${slot} ${startMs - slot * slotMs}`,
      `slower ${slot} ${startMs - (slot % 4) * slotMs}`,
      `back ${slot} ${startMs - (slot % 5 === 4 ? 3 : 0) * slotMs}`,
      `future ${slot} ${startMs + 3600 * slotMs}`,
      "",
    ].join("\n"),
  }),
};

const twoTimes: OracleCase = {
  name: "two_times",
  explicit: true,
  page: (slot, startMs) => ({
    body: `twice 1 ${startMs}\ntwice 2 ${startMs + slotMs}\nthrice ${slot} ${startMs}\nthrice ${slot} ${startMs}\nmixed 1\nmixed 2 ${startMs}\n`,
  }),
};

const openMetricsCase: OracleCase = {
  name: "openmetrics",
  page: (slot) => ({
    contentType: openMetrics,
    body: [
      "# TYPE requests counter",
      "# HELP requests Requests that came.",
      `requests_total{code="200"} ${slot}.0`,
      'requests_created{code="200"} 1.7e9',
      "# TYPE latency_seconds histogram",
      "# UNIT latency_seconds seconds",
      `latency_seconds_bucket{le="0.1"} ${slot}`,
      `latency_seconds_bucket{le="1"} ${slot}`,
      `latency_seconds_bucket{le="+Inf"} ${slot}`,
      `latency_seconds_sum ${slot}`,
      `latency_seconds_count ${slot}`,
      "latency_seconds_created 1700000000.123",
      "# TYPE build info",
      'build_info{version="1"} 1',
      "# TYPE mode stateset",
      `mode{mode="on"} ${slot % 2}`,
      `mode{mode="off"} ${1 - (slot % 2)}`,
      "# TYPE sizes gaugehistogram",
      'sizes_bucket{le="1"} 1',
      'sizes_bucket{le="+Inf"} 2',
      "sizes_gcount 2",
      "sizes_gsum 3",
      "# TYPE some unknown",
      `some ${slot}`,
      "# TYPE rpc summary",
      '# HELP rpc With \\"quotes\\", \\\\ and \\n.',
      'rpc{quantile="0.5"} 1',
      "rpc_count 1",
      "rpc_sum 1",
      "# EOF",
      "",
    ].join("\n"),
  }),
};

const exemplars: OracleCase = {
  name: "exemplars",
  page: (slot, startMs) => ({
    contentType: openMetrics,
    body: [
      "# TYPE calls counter",
      `calls_total{each="slot"} ${slot} # {trace_id="t${slot}"} ${slot}.5`,
      `calls_total{each="same"} ${slot} # {trace_id="same"} 1`,
      `calls_total{each="timed"} ${slot} # {trace_id="t${slot}"} 1 ${startMs / 1000}`,
      `calls_total{each="timed_same"} ${slot} # {trace_id="same"} 1 ${(startMs - slot * slotMs) / 1000}`,
      `calls_total{each="third"} ${slot}${slot % 3 === 0 ? ` # {a="1",b="${slot}"} 2` : ""}`,
      `calls_total{each="empty"} ${slot} # {} 3`,
      `calls_total{each="long"} ${slot} # {l="${"x".repeat(slot % 2 === 0 ? 127 : 128)}"} ${slot}`,
      `calls_total{each="turns"} ${slot} # {t="${slot % 2}"} 1`,
      "# TYPE size histogram",
      `size_bucket{le="1"} ${slot} # {trace_id="b${slot}"} 0.5`,
      `size_bucket{le="+Inf"} ${slot} # {trace_id="c${slot}"} 5`,
      `size_count ${slot}`,
      `size_sum ${slot}`,
      "# TYPE level gauge",
      `level ${slot} # {g="${slot}"} 1`,
      "# EOF",
      "",
    ].join("\n"),
  }),
};

const ruledPage = (slot: number) => ({
  body: [
    `dropped ${slot}`,
    `kept{path="/api/v1",code="200"} ${slot}`,
    `kept{path="/api/v2",code="500"} ${slot + 1}`,
    `kept{path="/static",code="404",tmp_a="1",tmp_b="2"} ${slot + 2}`,
    `old_name{a="1"} ${slot}`,
    `hashed{id="${slot % 5}"} ${slot}`,
    `cased{word="MiXeD"} ${slot}`,
    `emptied{code="600"} ${slot}`,
    'multi{text="a\nb"} 1',
    "",
  ].join("\n"),
});

const relabeled: OracleCase = {
  name: "relabeled",
  page: ruledPage,
  job: {
    metric_relabel_configs: [
      { source_labels: ["__name__"], regex: "dropped", action: "drop" },
      { source_labels: ["path"], regex: "/(api)/(v[0-9]+)", target_label: "api", replacement: "$1-${2}" },
      { source_labels: ["code"], regex: "(.)..", target_label: "class", replacement: "${1}xx" },
      { regex: "tmp_.*", action: "labeldrop" },
      { regex: "(co)(de)", replacement: "${2}_${1}", action: "labelmap" },
      { source_labels: ["id"], modulus: 3, target_label: "shard", action: "hashmod" },
      { source_labels: ["word"], target_label: "low", action: "lowercase" },
      { source_labels: ["word"], target_label: "high", action: "uppercase" },
      { source_labels: ["code"], regex: "600", target_label: "code", replacement: "" },
      { source_labels: ["text"], regex: "a.b", target_label: "dot", replacement: "newline matched" },
      {
        source_labels: ["path", "code"],
        separator: "|",
        regex: "(.+)\\|404",
        target_label: "__name__",
        replacement: "missing",
      },
      { source_labels: ["absent"], target_label: "word" },
    ],
  },
};

const renamed: OracleCase = {
  name: "renamed",
  page: ruledPage,
  job: {
    metric_relabel_configs: [
      { source_labels: ["__name__"], regex: "(old)_(name)", target_label: "__name__", replacement: "${2}_${1}" },
      { source_labels: ["__name__"], regex: "dropped", target_label: "__name__", replacement: "" },
    ],
  },
};

/** Series that become one by losing the label that told them apart. */
const merged: OracleCase = {
  name: "merged",
  page: (slot) => ({ body: `m{n="1"} ${slot}\nm{n="2"} ${slot + 100}\nm{n="${3 + (slot % 2)}"} 5\nalone{n="1"} 1\n` }),
  job: { metric_relabel_configs: [{ regex: "n", action: "labeldrop" }] },
};

const targetRelabeled: OracleCase = {
  name: "target_relabeled",
  labels: { __tmp_kind: "web", team: "a", __meta_extra_owner: "me", __param_seen: "p" },
  page: (slot) => ({ body: `t ${slot}\nt{instance="inner",team="b"} 1\n` }),
  job: {
    params: { module: ["one", "two"], seen: ["x"] },
    relabel_configs: [
      { source_labels: ["__tmp_kind"], target_label: "kind" },
      { source_labels: ["__address__"], regex: "(.*):.*", target_label: "host" },
      { target_label: "instance", replacement: "https://shop.example.org:443/path" },
      { regex: "__meta_extra_(.+)", action: "labelmap" },
      { source_labels: ["__param_module", "__scheme__", "__scrape_interval__"], target_label: "params" },
      { target_label: "job", replacement: "another job" },
    ],
  },
};

const quotedNames: OracleCase = {
  name: "quoted_names",
  page: (slot) => ({
    body:
      slot % 4 === 3
        ? "usual 1\n"
        : `usual 1\n{"http.requests", "a.b"="c", plain="d"} ${slot}\n{"with \\"quote\\" and \\\\"} 1\n{"\u00fcber"} 2\nusual{"x-y"="1"} 3\n# TYPE "http.requests" counter\n`,
  }),
};

/** Series that rules of remote_write drop, rename and merge. */
const written: OracleCase = {
  name: "written",
  page: (slot) => ({
    body: `write_dropped ${slot}\nwrite_kept{write_tmp="1"} ${slot}\nwrite_kept{write_tmp="2"} ${slot + 1}\nwrite_renamed ${slot}\nwrite_gone{n="${slot % 3}"} 1\nwrite_nameless 1\n`,
  }),
};

/** The rules that `written` is about; they look at all series. */
export const writeRelabelRules = [
  { source_labels: ["__name__"], regex: "write_dropped", action: "drop" },
  { regex: "write_tmp", action: "labeldrop" },
  { source_labels: ["__name__"], regex: "write_(renamed)", target_label: "__name__", replacement: "$1" },
  { source_labels: ["case", "cluster"], regex: "written;(.+)", target_label: "copied", replacement: "$1" },
];

const externalConflict: OracleCase = {
  name: "external_conflict",
  page: (slot) => ({ body: `c{cluster="from the page"} ${slot}\nc{cluster=""} 1\nc{replica="x"} 2\nc 3\n` }),
};

const protocols: OracleCase = {
  name: "protocols",
  job: { scrape_protocols: ["PrometheusText0.0.4", "OpenMetricsText1.0.0"] },
  page: (slot) => ({ body: `p ${slot}\n# EOF\n`, contentType: slot % 2 === 0 ? openMetrics : "text/plain" }),
};

const typesAndUnits: OracleCase = {
  name: "types_and_units",
  page: (slot) => ({
    contentType: openMetrics,
    body: `# TYPE dur_seconds gauge\n# UNIT dur_seconds seconds\n# HELP dur_seconds How long.\ndur_seconds ${slot}\n# TYPE nothing counter\n# UNIT lone_bytes bytes\nlone_bytes 1\n# TYPE flip ${slot < 12 ? "gauge" : "counter"}\nflip_total 1\n# EOF\n`,
  }),
};
