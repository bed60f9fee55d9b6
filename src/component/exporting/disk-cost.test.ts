/** What requests take on disk beside what they take on the way, compressed with gzip as exporters do. */

import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { MetricsEncoder } from "../../codec/otlp/encode-metrics.ts";
import { recordHeaderBytes } from "../../durable/record-format.ts";
import { RequestCodec } from "../../durable/request-codec.ts";
import type { OtlpRequest } from "../../model/otlp-request.ts";
import { buildLogs, buildNumbers, buildTraces } from "../../testing/index.ts";

const resource = { "service.name": "checkout", "host.name": "node-7" };
const rows = Array.from({ length: 700 }, (_, i) => i);
/** The same at each run, and hard to compress. */
const noise = (i: number) => Math.sin(i * 12.9898) * 43_758.5453;

function metrics(count: number): OtlpRequest {
  const batch = buildNumbers(
    rows.slice(0, count).map((i) => ({
      resource,
      name: `metric.${i % 100}`,
      attributes: { "http.route": `/v1/things/${i}`, method: "GET" },
      value: noise(i),
    })),
  );
  return new MetricsEncoder().encode(batch.segments);
}

const [spans] = buildTraces(rows.map((i) => ({ name: `GET /v1/things/${i}`, resource }))).requests;
const [records] = buildLogs(rows.map((i) => ({ body: `request ${noise(i)} took ${i} ms`, resource }))).requests;

test.each([
  ["700 points", metrics(700)],
  ["7 points", metrics(7)],
  ["700 spans", spans],
  ["700 log records", records],
])("%s take at most eight bytes each more than gzip leaves of them", (_title, request) => {
  if (request === undefined) throw new Error("no request");
  const { parts, items } = new RequestCodec().encode(request);
  const onDisk = recordHeaderBytes + parts.reduce((sum, part) => sum + part.length, 0);
  expect(onDisk / items).toBeLessThan(gzipSync(request.bytes).length / items + 8);
});
