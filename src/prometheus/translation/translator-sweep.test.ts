import { expect, it } from "vitest";
import { metricsBatch, type NumberPoints, type OpenSegment } from "../../model/batch.ts";
import { Identities } from "../../model/identities.ts";
import { PointsLayout } from "../../model/layout.ts";
import { sweepTables } from "../../model/sweep.ts";
import { createRemoteWriteTranslator } from "./remote-write-translator.ts";
import { describeRows, testOrigin, testSegment } from "./test-page.ts";

const options = {
  namespace: "",
  externalLabels: {},
  translationStrategy: "",
  addMetricSuffixes: true,
  disableScopeInfo: true,
  resourceToTelemetry: { enabled: false, excludeServiceAttributes: false },
  targetInfo: true,
} as const;

it("names the same series after a sweep of the tables gave the numbers of what had left to others", () => {
  const identities = new Identities();
  const origin = testOrigin({ identities });
  const scraped = testSegment([{ name: "up", value: 1 }], origin);
  const series = [1, 2].map((n) => {
    const resource = identities.internResource(new Map([["service.name", `s${n}`]]));
    const metric = identities.internMetric({
      name: `metric_${n}`,
      description: "",
      unit: "",
      type: "gauge",
      temporality: "none",
      isMonotonic: false,
      metadata: new Map(),
    });
    return identities.internSeriesParts(resource, identities.internScope("", "", new Map()), metric, 1);
  });
  const layout = new PointsLayout(identities, Uint32Array.from(series), 0);
  const pushed: NumberPoints = {
    form: "points",
    kind: "number",
    layout,
    from: 0,
    to: 2,
    timeUnixNano: BigUint64Array.of(5_000_000_000n, 5_000_000_000n),
    startTimeUnixNano: new BigUint64Array(2),
    flags: new Uint32Array(2),
    doubles: Float64Array.of(1, 2),
    ints: new BigInt64Array(2),
  };
  const translator = createRemoteWriteTranslator(options, identities);
  const part = { ...pushed, to: 1 };
  const rows = (segments: readonly OpenSegment[]) =>
    describeRows(translator.translate(metricsBatch(segments)).batch.segments);
  const before = [rows([pushed, scraped]), rows([part])];
  // Whatever a garbage collection might have let go is let go: only the source layouts are kept.
  sweepTables(identities, [layout, scraped.layout], []);
  translator.forget();
  for (let n = 0; n < 40; n++) identities.internLabels([["__name__", `other_${n}`]]);
  expect([rows([pushed, scraped]), rows([part])]).toEqual(before);
});
