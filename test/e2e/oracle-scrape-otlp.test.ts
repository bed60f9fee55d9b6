/** A scraped page to OTLP through Millrace and through a real otelcol-contrib: the same points on the wire. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { decodeOtlp } from "../kit/otlp-proto.ts";
import { grpcSink, httpSink, itemDifferences, type OtlpSink, otlpItems } from "../kit/otlp-traffic.ts";
import { missingPeers } from "../kit/peers.ts";
import { startCollector, startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const page = `# TYPE requests counter
# HELP requests Requests served.
# UNIT requests_bytes bytes
requests_total{code="200"} 9007199254740993 # {trace_id="0123456789abcdef0123456789abcdef"} 1 1700000000
requests_total{code="500"} 0
requests_created{code="200"} 1700000000.5
# TYPE temperature_celsius gauge
# UNIT temperature_celsius celsius
temperature_celsius{room="a"} -1.5
temperature_celsius{room="b"} NaN
temperature_celsius{room="c"} +Inf
# TYPE latency_seconds histogram
# UNIT latency_seconds seconds
latency_seconds_bucket{le="0.1"} 3
latency_seconds_bucket{le="1.0"} 5 # {trace_id="0123456789abcdef0123456789abcdef",span_id="0123456789abcdef"} 0.5
latency_seconds_bucket{le="+Inf"} 6
latency_seconds_sum 4.5
latency_seconds_count 6
# TYPE wait_seconds summary
wait_seconds{quantile="0.5"} 1
wait_seconds{quantile="0.99"} 7
wait_seconds_sum 20
wait_seconds_count 9
# TYPE build info
build_info{version="1"} 1
# TYPE mode stateset
mode{mode="on"} 1
mode{mode="off"} 0
# TYPE odd unknown
odd{a="b"} 3
# EOF
`;

/** Metrics about the scrape itself, whose values are never the same twice. */
const measured = ["scrape_duration_seconds"];

interface Point {
  readonly metric: { readonly name?: string };
  readonly scopeKey: object;
  readonly point: { timeUnixNano?: string; asDouble?: unknown };
}

/** The points of the first scrape, the time of the scrape replaced, also where it is a start or an exemplar's. */
function pointsOf(sink: OtlpSink): string[] {
  const [first] = sink.received.metrics.filter((bytes) =>
    JSON.stringify(decodeOtlp("metrics", bytes)).includes("latency"),
  );
  return otlpItems("metrics", first === undefined ? [] : [first])
    .map((item) => {
      const { timeUnixNano = "" } = (JSON.parse(item) as Point).point;
      const { scopeKey, ...rest } = JSON.parse(item.replaceAll(`"${timeUnixNano}"`, '"then"')) as Point;
      if (measured.includes(rest.metric.name ?? "")) delete rest.point.asDouble;
      const { version: _ownVersion, ...scope } = scopeKey as { version?: string };
      return JSON.stringify({ ...rest, scope });
    })
    .sort();
}

/** What the target serves one scrape after another: series go and come, counters begin anew; undefined fails the scrape. */
const pages: readonly (string | undefined)[] = [
  page,
  page
    .replace('requests_total{code="500"} 0\n', "")
    .replace('temperature_celsius{room="c"} +Inf\n', 'temperature_celsius{room="d"} 4\n')
    .replace("latency_seconds_sum 4.5", "latency_seconds_sum 5.5"),
  page
    .replace("9007199254740993 #", "7 #")
    .replace('{le="0.1"} 3', '{le="0.1"} 1')
    .replace('{le="1.0"} 5 #', '{le="1.0"} 1 #')
    .replace('{le="+Inf"} 6', '{le="+Inf"} 2')
    .replace("latency_seconds_count 6", "latency_seconds_count 2")
    .replace('odd{a="b"} 3\n', ""),
  undefined,
  page,
];

/** What otelcol makes of the marker of a `_created`. */
const startOfMarkers = '"startTimeUnixNano":"9223372036854775808",';

/** The points of each scrape, for as many as there are pages; the times of scrapes replaced by their numbers. */
function scrapesOf(sink: OtlpSink): string[][] {
  const scrapes = sink.received.metrics.filter((bytes) =>
    otlpItems("metrics", [bytes]).some((item) => (JSON.parse(item) as Point).metric.name === "up"),
  );
  if (scrapes.length < pages.length) return [];
  const times: string[] = [];
  return scrapes.slice(0, pages.length).map((bytes) => {
    const items = otlpItems("metrics", [bytes]);
    const up = items.map((item) => JSON.parse(item) as Point).find(({ metric }) => metric.name === "up");
    times.push(up?.point.timeUnixNano ?? "none");
    return items
      .map((item) => {
        const named = times.reduce((all, time, i) => all.replaceAll(`"${time}"`, `"scrape ${i}"`), item);
        const text = named.replace(startOfMarkers, "");
        const { scopeKey, ...rest } = JSON.parse(text) as Point;
        if (measured.includes(rest.metric.name ?? "")) delete rest.point.asDouble;
        const { version: _ownVersion, ...scope } = scopeKey as { version?: string };
        return JSON.stringify({ ...rest, scope });
      })
      .sort();
  });
}

const reason = missingPeers("otelcol");
describe.skipIf(reason !== undefined)(
  `a page as otelcol-contrib sends it on${reason === undefined ? "" : `: ${reason}`}`,
  () => {
    it.each([
      ["otlp", grpcSink],
      ["otlphttp", httpSink],
    ] as const)("by %s", async (exporter, startSink) => {
      using folder = createTempFolder("oracle-scrape-otlp");
      const target = createServer((_request, response) => {
        response
          .writeHead(200, { "content-type": "application/openmetrics-text; version=1.0.0; charset=utf-8" })
          .end(page);
      });
      await new Promise<void>((resolve) => void target.listen(0, "127.0.0.1", resolve));
      const address = `127.0.0.1:${(target.address() as AddressInfo).port}`;
      const scrape = { job_name: "page", scrape_interval: "1s", static_configs: [{ targets: [address] }] };
      const results: string[][] = [];
      for (const start of [startCollector, startMillraceRun]) {
        using sink = await startSink();
        const endpoint = exporter === "otlp" ? sink.address : `http://${sink.address}`;
        const config = {
          receivers: { prometheus: { config: { scrape_configs: [scrape] } } },
          exporters: { [exporter]: { endpoint, tls: { insecure: true } } },
          service: {
            telemetry: { metrics: { level: "none" } },
            pipelines: { metrics: { receivers: ["prometheus"], exporters: [exporter] } },
          },
        };
        await using _run = await start(folder.write("config.yaml", stringify(config)));
        await waitFor("a scrape", () => pointsOf(sink).length > 0);
        results.push(pointsOf(sink));
      }
      target.closeAllConnections();
      target.close();
      const [theirs = [], ours = []] = results;
      expect(theirs.length).toBeGreaterThan(15);
      expect(itemDifferences(theirs, ours)).toEqual([]);
    });

    it("scrape after scrape, where series go and come and counters begin anew", async () => {
      using folder = createTempFolder("oracle-scrapes-otlp");
      let scrapes = 0;
      const target = createServer((_request, response) => {
        const body = pages[scrapes++ % pages.length];
        const type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        response.writeHead(body === undefined ? 500 : 200, { "content-type": type }).end(body);
      });
      await new Promise<void>((resolve) => void target.listen(0, "127.0.0.1", resolve));
      const address = `127.0.0.1:${(target.address() as AddressInfo).port}`;
      const scrape = { job_name: "pages", scrape_interval: "1s", static_configs: [{ targets: [address] }] };
      const results: string[][][] = [];
      for (const start of [startCollector, startMillraceRun]) {
        scrapes = 0;
        using sink = await grpcSink();
        const config = {
          receivers: { prometheus: { config: { scrape_configs: [scrape] } } },
          exporters: { otlp: { endpoint: sink.address, tls: { insecure: true } } },
          service: {
            telemetry: { metrics: { level: "none" } },
            pipelines: { metrics: { receivers: ["prometheus"], exporters: ["otlp"] } },
          },
        };
        await using _run = await start(folder.write("config.yaml", stringify(config)));
        results.push(await waitFor("the scrapes", () => (scrapesOf(sink).length > 0 ? scrapesOf(sink) : undefined)));
      }
      target.closeAllConnections();
      target.close();
      const [theirs = [], ours = []] = results;
      for (const [i, expected] of theirs.entries()) {
        expect(itemDifferences(expected, ours[i] ?? []), `scrape ${i}`).toEqual([]);
      }
    });
  },
);
