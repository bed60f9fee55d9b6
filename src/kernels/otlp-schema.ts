/** The messages of OTLP 1.11 as tables: what walks, JSON and plain objects know about fields. */

/** How a field is written; `traceId` and `spanId` have 16 and 8 bytes or none, and JSON writes them as hex. */
export type FieldKind =
  | "string"
  | "bytes"
  | "traceId"
  | "spanId"
  | "bool"
  | "enum"
  | "uint32"
  | "sint32"
  | "int64"
  | "uint64"
  | "fixed32"
  | "fixed64"
  | "sfixed64"
  | "double"
  | "message";

export interface FieldSchema {
  /** The name in JSON. */
  readonly name: string;
  readonly number: number;
  readonly kind: FieldKind;
  /** The message of a field of kind `message`. */
  readonly message: MessageName | undefined;
  readonly isRepeated: boolean;
  /** Optional fields and members of a oneof are written even when they hold their default. */
  readonly hasPresence: boolean;
}

export interface MessageSchema {
  readonly name: MessageName;
  /** In the order in which JSON writes them, which is the order of their declaration. */
  readonly fields: readonly FieldSchema[];
}

/** Field texts: `number name kind`, `[]` for repeated, `?` for explicit presence; a capital begins a message. */
const messageTexts = {
  ExportMetricsServiceRequest: "1 resourceMetrics ResourceMetrics[]",
  ResourceMetrics: "1 resource Resource, 2 scopeMetrics ScopeMetrics[], 3 schemaUrl string",
  ScopeMetrics: "1 scope InstrumentationScope, 2 metrics Metric[], 3 schemaUrl string",
  Metric:
    "1 name string, 2 description string, 3 unit string, 5 gauge Gauge, 7 sum Sum, 9 histogram Histogram, " +
    "10 exponentialHistogram ExponentialHistogram, 11 summary Summary, 12 metadata KeyValue[]",
  Gauge: "1 dataPoints NumberDataPoint[]",
  Sum: "1 dataPoints NumberDataPoint[], 2 aggregationTemporality enum, 3 isMonotonic bool",
  Histogram: "1 dataPoints HistogramDataPoint[], 2 aggregationTemporality enum",
  ExponentialHistogram: "1 dataPoints ExponentialHistogramDataPoint[], 2 aggregationTemporality enum",
  Summary: "1 dataPoints SummaryDataPoint[]",
  NumberDataPoint:
    "7 attributes KeyValue[], 2 startTimeUnixNano fixed64, 3 timeUnixNano fixed64, 4 asDouble double?, 6 asInt sfixed64?, " +
    "5 exemplars Exemplar[], 8 flags uint32",
  HistogramDataPoint:
    "9 attributes KeyValue[], 2 startTimeUnixNano fixed64, 3 timeUnixNano fixed64, 4 count fixed64, 5 sum double?, " +
    "6 bucketCounts fixed64[], 7 explicitBounds double[], 8 exemplars Exemplar[], 10 flags uint32, 11 min double?, 12 max double?",
  ExponentialHistogramDataPoint:
    "1 attributes KeyValue[], 2 startTimeUnixNano fixed64, 3 timeUnixNano fixed64, 4 count fixed64, 5 sum double?, " +
    "6 scale sint32, 7 zeroCount fixed64, 8 positive Buckets, 9 negative Buckets, 10 flags uint32, 11 exemplars Exemplar[], " +
    "12 min double?, 13 max double?, 14 zeroThreshold double",
  Buckets: "1 offset sint32, 2 bucketCounts uint64[]",
  SummaryDataPoint:
    "7 attributes KeyValue[], 2 startTimeUnixNano fixed64, 3 timeUnixNano fixed64, 4 count fixed64, 5 sum double, " +
    "6 quantileValues ValueAtQuantile[], 8 flags uint32",
  ValueAtQuantile: "1 quantile double, 2 value double",
  Exemplar:
    "7 filteredAttributes KeyValue[], 2 timeUnixNano fixed64, 3 asDouble double?, 6 asInt sfixed64?, 5 traceId traceId, 4 spanId spanId",
  Resource: "1 attributes KeyValue[], 2 droppedAttributesCount uint32, 3 entityRefs EntityRef[]",
  EntityRef: "1 schemaUrl string, 2 type string, 3 idKeys string[], 4 descriptionKeys string[]",
  InstrumentationScope: "1 name string, 2 version string, 3 attributes KeyValue[], 4 droppedAttributesCount uint32",
  KeyValue: "1 key string, 2 value AnyValue",
  AnyValue:
    "1 stringValue string?, 2 boolValue bool?, 3 intValue int64?, 4 doubleValue double?, 5 arrayValue ArrayValue, " +
    "6 kvlistValue KeyValueList, 7 bytesValue bytes?",
  ArrayValue: "1 values AnyValue[]",
  KeyValueList: "1 values KeyValue[]",
  ExportTraceServiceRequest: "1 resourceSpans ResourceSpans[]",
  ResourceSpans: "1 resource Resource, 2 scopeSpans ScopeSpans[], 3 schemaUrl string",
  ScopeSpans: "1 scope InstrumentationScope, 2 spans Span[], 3 schemaUrl string",
  Span:
    "1 traceId traceId, 2 spanId spanId, 3 traceState string, 4 parentSpanId spanId, 16 flags fixed32, 5 name string, 6 kind enum, " +
    "7 startTimeUnixNano fixed64, 8 endTimeUnixNano fixed64, 9 attributes KeyValue[], 10 droppedAttributesCount uint32, " +
    "11 events Event[], 12 droppedEventsCount uint32, 13 links Link[], 14 droppedLinksCount uint32, 15 status Status",
  Event: "1 timeUnixNano fixed64, 2 name string, 3 attributes KeyValue[], 4 droppedAttributesCount uint32",
  Link:
    "1 traceId traceId, 2 spanId spanId, 3 traceState string, 4 attributes KeyValue[], 5 droppedAttributesCount uint32, " +
    "6 flags fixed32",
  Status: "2 message string, 3 code enum",
  ExportLogsServiceRequest: "1 resourceLogs ResourceLogs[]",
  ResourceLogs: "1 resource Resource, 2 scopeLogs ScopeLogs[], 3 schemaUrl string",
  ScopeLogs: "1 scope InstrumentationScope, 2 logRecords LogRecord[], 3 schemaUrl string",
  LogRecord:
    "1 timeUnixNano fixed64, 11 observedTimeUnixNano fixed64, 2 severityNumber enum, 3 severityText string, 5 body AnyValue, " +
    "6 attributes KeyValue[], 7 droppedAttributesCount uint32, 8 flags fixed32, 9 traceId traceId, 10 spanId spanId, 12 eventName string",
  ExportMetricsServiceResponse: "1 partialSuccess ExportMetricsPartialSuccess",
  ExportMetricsPartialSuccess: "1 rejectedDataPoints int64, 2 errorMessage string",
  ExportTraceServiceResponse: "1 partialSuccess ExportTracePartialSuccess",
  ExportTracePartialSuccess: "1 rejectedSpans int64, 2 errorMessage string",
  ExportLogsServiceResponse: "1 partialSuccess ExportLogsPartialSuccess",
  ExportLogsPartialSuccess: "1 rejectedLogRecords int64, 2 errorMessage string",
} as const;

export type MessageName = keyof typeof messageTexts;

function parseField(text: string): FieldSchema {
  const [number = "", name = "", type = ""] = text.trim().split(" ");
  const isRepeated = type.endsWith("[]");
  const bare = type.replace("[]", "").replace("?", "");
  const isMessage = /^[A-Z]/.test(bare);
  return {
    name,
    number: Number(number),
    kind: isMessage ? "message" : (bare as FieldKind),
    message: isMessage ? (bare as MessageName) : undefined,
    isRepeated,
    hasPresence: isMessage || type.endsWith("?"),
  };
}

const names = Object.keys(messageTexts) as MessageName[];

/** All messages, by name. */
export const messageSchemas: ReadonlyMap<MessageName, MessageSchema> = new Map(
  names.map((name) => [name, { name, fields: messageTexts[name].split(",").map(parseField) }]),
);

/** The schema of a message. */
export function messageSchema(name: MessageName): MessageSchema {
  return messageSchemas.get(name) as MessageSchema;
}

/** The wire type in which a field of this kind is written when it is not packed. */
export function wireTypeOf(kind: FieldKind): 0 | 1 | 2 | 5 {
  switch (kind) {
    case "fixed64":
    case "sfixed64":
    case "double":
      return 1;
    case "fixed32":
      return 5;
    case "string":
    case "bytes":
    case "traceId":
    case "spanId":
    case "message":
      return 2;
    default:
      return 0;
  }
}

/** Whether repeated values of this kind are packed into one field. */
export function isPackable(kind: FieldKind): boolean {
  return wireTypeOf(kind) !== 2;
}
