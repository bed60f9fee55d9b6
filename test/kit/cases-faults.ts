/** Pages that break, limits that are exceeded, and connections that fail. */

import { openMetrics } from "./cases-pages.ts";
import type { Page, Served } from "./page-exporter.ts";
import type { OracleCase } from "./scrape-oracle.ts";

/** The cases of this file. */
export function faultCases(): OracleCase[] {
  return [
    ...inTurns("text_faults", textFaults, (fault, slot) => ({ body: around(fault, slot) })),
    ...inTurns("openmetrics_faults", openMetricsFaults, (body) => ({ body, contentType: openMetrics })),
    brokenInTheMiddle,
    limit("sample_limit", { sample_limit: 5 }, (slot) => series(slot % 3 === 1 ? 8 : slot % 3 === 2 ? 6 : 5)),
    limit("label_limit", { label_limit: 5 }, (slot) => `a 1\nb{x="1"${slot % 2 === 0 ? ',y="1",z="1"' : ""}} 2\nc 3\n`),
    limit("label_name_length", { label_name_length_limit: 12 }, (slot) =>
      slot % 2 === 0 ? 'a 1\nb{a_name_too_long="1"} 2\nc 3\n' : 'a 1\nb{a_name_of_12="1"} 2\nc 3\n',
    ),
    limit("label_value_length", { label_value_length_limit: 20 }, (slot) =>
      slot % 2 === 0 ? `a 1\nb{x="${"v".repeat(21)}"} 2\nc 3\n` : `a 1\nb{x="${"v".repeat(20)}"} 2\nc 3\n`,
    ),
    limit(
      "body_size",
      { body_size_limit: "100B" },
      (slot) => `a 1\n#${" ".repeat([94, 95, 94, 200][slot % 4] ?? 0)}\n`,
    ),
    limit(
      "sample_limit_after_relabel",
      { sample_limit: 3, metric_relabel_configs: [{ source_labels: ["n"], regex: "[0-3]", action: "drop" }] },
      (slot) => series(slot % 2 === 0 ? 7 : 9),
    ),
    { ...limit("extra_metrics", { extra_scrape_metrics: true, sample_limit: 5 }, (slot) => series(4 + (slot % 3))) },
    duplicates,
    resets,
    slow,
    truncated,
  ];
}

function limit(name: string, job: Readonly<Record<string, unknown>>, body: (slot: number) => string): OracleCase {
  return { name, job, page: (slot) => ({ body: body(slot) }) };
}

function series(count: number): string {
  return Array.from({ length: count }, (_, n) => `item{n="${n}"} ${n}\n`).join("");
}

/** One case for each ten faults: a fault in even slots, a good page between. */
function inTurns<T>(name: string, faults: readonly T[], page: (fault: T, slot: number) => Page): OracleCase[] {
  const perCase = 10;
  const cases: OracleCase[] = [];
  for (let from = 0; from < faults.length; from += perCase) {
    const part = faults.slice(from, from + perCase);
    cases.push({
      name: `${name}_${from / perCase}`,
      page: (slot) => {
        const fault = slot % 2 === 1 ? part[(slot >> 1) % part.length] : undefined;
        return fault === undefined ? { body: around("", slot) } : page(fault, slot);
      },
    });
  }
  return cases;
}

function around(fault: string | Uint8Array, slot: number): Uint8Array {
  return Buffer.concat([
    Buffer.from(`before ${slot}\nbefore{n="2"} 1\n`),
    Buffer.from(fault),
    Buffer.from(`after ${slot}\nafter{n="2"} 2\n`),
  ]);
}

const textFaults: readonly (string | Uint8Array)[] = [
  "bad{ 3\n",
  "bad 1e400\n",
  "bad 0x10\n",
  "bad 1_000\n",
  "bad\n",
  "bad{a=1} 1\n",
  '{a="b"} 1\n',
  'bad{a="1",a="2"} 1\n',
  'bad{"bad"} 1\n',
  '{"quoted", a="b"} 1\n',
  '{a="b", "quoted"} 1\n',
  "# TYPE bad strange\n",
  "# TYPE bad gauge \n",
  "# TYPE  bad gauge\n",
  "# TYPE bad GAUGE\n",
  "# TYPE bad\n",
  "bad 1 -5\n",
  "bad 1 1.5\n",
  "bad 1 2 3\n",
  "bad 1\r\n",
  "9bad 1\n",
  "bad-name 1\n",
  "\tbad 1\n",
  "  bad 1\n",
  "\0\n",
  "bad\0 1\n",
  'bad{a="x\0y"} 1\n',
  "# comment \0 goes on\nbad 1\n",
  Buffer.from([0x62, 0x61, 0x64, 0xff, 0x20, 0x31, 0x0a]),
  Buffer.concat([Buffer.from('bad{a="'), Buffer.from([0xc3, 0x28]), Buffer.from('"} 1\n')]),
  Buffer.concat([Buffer.from("# HELP bad "), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from("\n")]),
  Buffer.concat([Buffer.from("# comment "), Buffer.from([0xff]), Buffer.from("\n")]),
  Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from("bad 1\n")]),
  'bad{a="1} 1\n',
  "bad{a='1'} 1\n",
  'bad{a="1"}} 1\n',
  'bad{__name__="other"} 1\n',
  'bad{a="1"} 1 # {} 1\n',
  'bad{=""} 1\n',
  "bad{,} 1\n",
  "bad{} 1\n",
  "bad 1 \n",
  "bad  1\n",
  "bad +-1\n",
  "bad 1e\n",
  "bad 1e5000000000000\n",
  "bad Infinit\n",
  "bad NaNo\n",
  "# HELP\n",
  "# HELP bad\n",
  "# EOF\n",
  "# UNIT bad seconds\n",
  '{"with space", "label space"="1"} 1\n',
  '{""} 1\n',
  '{"a\\"b"} 1\n',
  'bad{"quoted label"="1"} 1\n',
  'bad{a="\\"} 1\n',
  'bad{a="ü", b="\u{1f600}"} 1\n',
  'bad{a:b="1"} 1\n',
  "bad 0b11\n",
];

const openMetricsFaults: readonly string[] = [
  "a 1\n",
  "a 1\n# EOF\nb 1\n",
  "a 1\n# EOF",
  "a  1\n# EOF\n",
  " a 1\n# EOF\n",
  "a 1 \n# EOF\n",
  "a 1\n\n# EOF\n",
  "# comment\na 1\n# EOF\n",
  "# TYPE a_seconds gauge\n# UNIT a_seconds bytes\na_seconds 1\n# EOF\n",
  "# TYPE a untyped\na 1\n# EOF\n",
  "# HELP a\na 1\n# EOF\n",
  'a{x="1",} 1\n# EOF\n',
  'a{x="1" ,y="2"} 1\n# EOF\n',
  "a 1 NaN\n# EOF\n",
  "a 1 1e400\n# EOF\n",
  'a_total 1 # {t="1"}\n# EOF\n',
  'a_total 1 # {t="1"} x\n# EOF\n',
  'a_total 1 # {t="1"} 1 NaN\n# EOF\n',
  "# TYPE a gauge\na 1\n# TYPE a counter\na 2\n# EOF\n",
  "a 1\na 1\n# EOF\n",
  "# EOF\n",
  "# EOF\n\n",
  'a{x="1\n2"} 1\n# EOF\n',
  "# TYPE a counter\na_total -1\na_total NaN\n# EOF\n",
  "a 1\r\n# EOF\n",
  "a\t1\n# EOF\n",
  '{"a.b", "c d"="1"} 1\n# EOF\n',
  '# TYPE "a.b" gauge\n# HELP "a.b" text\n{"a.b"} 1\n# EOF\n',
  '# TYPE a histogram\na_bucket{le="1"} 1 # {} 1\na_bucket{le="+Inf"} 1\n# EOF\n',
  "# HELP a \na 1\n# EOF\n",
];

/** The fault is in the middle of many series, some of which came just now. */
const brokenInTheMiddle: OracleCase = {
  name: "broken_in_the_middle",
  page: (slot) => {
    const lines = Array.from(
      { length: 20 },
      (_, n) => `line{n="${n}",turn="${n % 4 === 0 ? slot >> 1 : 0}"} ${slot}\n`,
    );
    if (slot % 3 !== 0) lines.splice((slot * 5) % 20, 0, slot % 2 === 0 ? "broken{\n" : 'broken{a="b"} 1e400\n');
    return { body: lines.join("") };
  },
};

const duplicates: OracleCase = {
  name: "duplicates",
  page: (slot) => ({
    body: [
      `same ${slot}`,
      `same ${slot + 1}`,
      `other{a="1",b="2"} ${slot}`,
      `other{b="2",a="1"} ${slot + 2}`,
      `spaced{a="1"} ${slot}`,
      `spaced{ a="1"} ${slot + 3}`,
      `empty{a=""} ${slot}`,
      `empty ${slot + 4}`,
      `same ${slot}`,
      slot % 2 === 0 ? 'last{a="1"} 1\nlast{a="1"} 1' : "last 1",
      "",
    ].join("\n"),
  }),
};

/** The connection breaks before and within the answer. */
const resets: OracleCase = {
  name: "resets",
  page: (slot): Served => {
    if (slot % 3 === 0) return { body: `steady ${slot}\n` };
    if (slot % 3 === 1) return "reset";
    return (request, response) => {
      response.writeHead(200, { "content-type": "text/plain" });
      response.write(`steady ${slot}\n`, () => request.socket.destroy());
    };
  },
};

/** Answers in time, too late, and with a body that never ends, in turns. */
const slow: OracleCase = {
  name: "slow",
  job: { scrape_timeout: "400ms" },
  page: (slot): Served => {
    if (slot % 3 === 0) return { body: `steady ${slot}\n` };
    return (_request, response) => {
      if (slot % 3 === 1) return;
      response.writeHead(200, { "content-type": "text/plain" });
      response.write(`steady ${slot}\n`);
    };
  },
};

/** Fewer bytes than the header says. */
const truncated: OracleCase = {
  name: "truncated",
  page: (slot): Served => {
    if (slot % 2 === 0) return { body: `steady ${slot}\n` };
    return (request, response) => {
      response.writeHead(200, { "content-type": "text/plain", "content-length": "100" });
      response.write(`steady ${slot}\n`, () => request.socket.end());
    };
  },
};
