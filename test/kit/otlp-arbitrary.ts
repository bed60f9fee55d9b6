/** Random OTLP requests of all signals, as objects that `encodeOtlp` takes. */

import fc from "fast-check";
import type { Signal } from "../../src/model/otlp-request.ts";

type Fields = Record<string, fc.Arbitrary<unknown>>;

/** An object with some of the fields; those in `required` are always there. */
function message(fields: Fields, required: readonly string[] = []): fc.Arbitrary<object> {
  return fc.record(fields, { requiredKeys: [...required] }) as fc.Arbitrary<object>;
}

const text = fc.oneof(
  fc.constantFrom("service.name", "http.method", "GET", "a", "", "host", "le"),
  fc.string({ maxLength: 12 }),
  fc.string({ unit: "grapheme", maxLength: 8 }),
  fc.string({ minLength: 120, maxLength: 300 }),
);
const uint64 = fc.oneof(fc.bigInt({ min: 0n, max: 1000n }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })).map(String);
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
const uint32 = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
const sint32 = fc.oneof(fc.integer({ min: -20, max: 20 }), fc.integer());
const double = fc.oneof(
  fc.double(),
  fc.constantFrom(0, -0, 1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324),
);
const time = fc.oneof(fc.constant("1700000000000000001"), uint64);
const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array).toString("base64"));
const id = (length: number) => fc.oneof(bytes(length), fc.constant(""));

const { anyValue } = fc.letrec<{ anyValue: object; keyValues: object[] }>((tie) => ({
  anyValue: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.record({ stringValue: text }),
    fc.constant({}),
    fc.record({ boolValue: fc.boolean() }),
    fc.record({ intValue: int64 }),
    fc.record({ doubleValue: double }),
    fc.record({ bytesValue: fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array).toString("base64")) }),
    fc.record({ arrayValue: fc.record({ values: fc.array(tie("anyValue"), { maxLength: 3 }) }) }),
    fc.record({ kvlistValue: fc.record({ values: tie("keyValues") }) }),
  ),
  keyValues: fc.uniqueArray(fc.record({ key: text, value: tie("anyValue") as fc.Arbitrary<object> }), {
    maxLength: 3,
    selector: (pair) => pair.key,
  }),
}));

/** A value of any kind that attributes may have. */
export const anyValueArbitrary: fc.Arbitrary<object> = anyValue;

const attributes = fc.uniqueArray(fc.record({ key: text, value: anyValue }), {
  maxLength: 4,
  selector: (pair) => pair.key,
});

const resource = message({
  attributes,
  droppedAttributesCount: uint32,
  entityRefs: fc.array(message({ type: text, schemaUrl: text, idKeys: fc.array(text, { maxLength: 2 }) }), {
    maxLength: 1,
  }),
});
const scope = message({ name: text, version: text, attributes, droppedAttributesCount: uint32 });

const numberValue = fc.oneof(fc.record({ asDouble: double }), fc.record({ asInt: int64 }));
const exemplar = fc
  .tuple(message({ filteredAttributes: attributes, timeUnixNano: time, spanId: id(8), traceId: id(16) }), numberValue)
  .map(([fields, value]) => ({ ...fields, ...value }));
const exemplars = fc.array(exemplar, { maxLength: 2 });
const point = { startTimeUnixNano: time, timeUnixNano: time, attributes };
const flags = fc.constantFrom(0, 0, 1, 2, 300);

const numberPoint = fc
  .tuple(message({ ...point, exemplars, flags }, ["timeUnixNano"]), fc.oneof(numberValue, numberValue, fc.constant({})))
  .map(([fields, value]) => ({ ...fields, ...value }));
const histogramPoint = message({
  ...point,
  count: uint64,
  sum: double,
  min: double,
  max: double,
  bucketCounts: fc.array(uint64, { maxLength: 20 }),
  explicitBounds: fc.array(double, { maxLength: 20 }),
  exemplars,
  flags,
});
const buckets = message({ offset: sint32, bucketCounts: fc.array(uint64, { maxLength: 150 }) });
const exponentialPoint = message({
  ...point,
  count: uint64,
  sum: double,
  min: double,
  max: double,
  scale: sint32,
  zeroCount: uint64,
  zeroThreshold: double,
  positive: buckets,
  negative: buckets,
  exemplars,
  flags,
});
const summaryPoint = message({
  ...point,
  count: uint64,
  sum: double,
  quantileValues: fc.array(message({ quantile: double, value: double }), { maxLength: 4 }),
  flags,
});

const temporality = fc.constantFrom(0, 1, 2);
const list = (item: fc.Arbitrary<object>) => fc.array(item, { minLength: 1, maxLength: 4 });
const data = fc.oneof(
  fc.record({ gauge: fc.record({ dataPoints: list(numberPoint) }) }),
  fc.record({
    sum: fc.record({ dataPoints: list(numberPoint), aggregationTemporality: temporality, isMonotonic: fc.boolean() }),
  }),
  fc.record({ histogram: fc.record({ dataPoints: list(histogramPoint), aggregationTemporality: temporality }) }),
  fc.record({
    exponentialHistogram: fc.record({ dataPoints: list(exponentialPoint), aggregationTemporality: temporality }),
  }),
  fc.record({ summary: fc.record({ dataPoints: list(summaryPoint) }) }),
);
const metric = fc
  .tuple(message({ name: text, description: text, unit: text, metadata: attributes }), data)
  .map(([fields, value]) => ({ ...fields, ...value }));

const span = message({
  traceId: id(16),
  spanId: id(8),
  traceState: text,
  parentSpanId: id(8),
  flags: uint32,
  name: text,
  kind: fc.integer({ min: 0, max: 5 }),
  startTimeUnixNano: time,
  endTimeUnixNano: time,
  attributes,
  droppedAttributesCount: uint32,
  events: fc.array(message({ timeUnixNano: time, name: text, attributes, droppedAttributesCount: uint32 }), {
    maxLength: 2,
  }),
  droppedEventsCount: uint32,
  links: fc.array(
    message({
      traceId: id(16),
      spanId: id(8),
      traceState: text,
      attributes,
      droppedAttributesCount: uint32,
      flags: uint32,
    }),
    { maxLength: 2 },
  ),
  droppedLinksCount: uint32,
  status: message({ message: text, code: fc.integer({ min: 0, max: 2 }) }),
});

const logRecord = message({
  timeUnixNano: time,
  observedTimeUnixNano: time,
  severityNumber: fc.integer({ min: 0, max: 24 }),
  severityText: text,
  body: anyValue,
  attributes,
  droppedAttributesCount: uint32,
  flags: uint32,
  traceId: id(16),
  spanId: id(8),
  eventName: text,
});

const names = {
  metrics: { resources: "resourceMetrics", scopes: "scopeMetrics", items: "metrics", item: metric },
  traces: { resources: "resourceSpans", scopes: "scopeSpans", items: "spans", item: span },
  logs: { resources: "resourceLogs", scopes: "scopeLogs", items: "logRecords", item: logRecord },
} as const;

/** Requests of a signal with up to `size` elements on each level. */
export function requestArbitrary(signal: Signal, size = 3): fc.Arbitrary<object> {
  const { resources, scopes, items, item } = names[signal];
  const some = (element: fc.Arbitrary<object>) => fc.array(element, { maxLength: size });
  const scopeGroup = message({ scope, [items]: some(item), schemaUrl: text }, [items]);
  const resourceGroup = message({ resource, [scopes]: some(scopeGroup), schemaUrl: text }, [scopes]);
  return fc.record({ [resources]: some(resourceGroup) }) as fc.Arbitrary<object>;
}

export const signals: readonly Signal[] = ["metrics", "traces", "logs"];
