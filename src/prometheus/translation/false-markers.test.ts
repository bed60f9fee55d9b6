import { describe, expect, it } from "vitest";
import type { SamplesSegment } from "../../model/batch.ts";
import { metricsBatch } from "../../model/batch.ts";
import { createRemoteWriteTranslator } from "./remote-write-translator.ts";
import { describeRows, type PageRow, testOrigin, testSegment } from "./test-page.ts";

const target = 'instance="example.org:9100",job="node"';

function translate(segments: readonly SamplesSegment[], identities: SamplesSegment["layout"]["identities"]) {
  const translator = createRemoteWriteTranslator(
    {
      namespace: "",
      externalLabels: {},
      translationStrategy: "",
      addMetricSuffixes: true,
      disableScopeInfo: true,
      resourceToTelemetry: { enabled: false, excludeServiceAttributes: false },
      targetInfo: false,
    },
    identities,
  );
  const { batch, dropped } = translator.translate(metricsBatch(segments));
  return { rows: describeRows(batch.segments), dropped: Object.fromEntries(dropped) };
}

describe("a marker of a series that goes on under the same labels", () => {
  const origin = testOrigin();
  const counter: PageRow = { name: "a", value: 1, family: { name: "a", exposedName: "a", type: "counter" } };
  const live = testSegment([counter], origin);
  const markers = (...names: string[]) =>
    testSegment(
      names.map((name) => ({ name, stale: true })),
      origin,
    );

  it.each<[string, SamplesSegment[], string[], Record<string, number>]>([
    [
      "is not sent beside the row",
      [live, markers("a_total", "b")],
      [`a_total{${target}} 1`, `b{${target}} stale`],
      { duplicate: 1 },
    ],
    ["leaves nothing when it is the only one", [live, markers("a_total")], [`a_total{${target}} 1`], { duplicate: 1 }],
    [
      "is sent when the row has another time",
      [{ ...live, timestampMs: live.timestampMs - 1000 }, markers("a_total")],
      [`a_total{${target}} 1@${live.timestampMs - 1000}`, `a_total{${target}} stale`],
      {},
    ],
    ["is sent alone", [markers("a_total")], [`a_total{${target}} stale`], {}],
  ])("%s", (_, segments, rows, dropped) => {
    expect(translate(segments, origin.identities)).toEqual({ rows, dropped });
  });
});
