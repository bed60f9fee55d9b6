// Sends what the OpenTelemetry JS SDK makes of every instrument, a trace and a log record to an OTLP receiver.
import { SeverityNumber } from "@opentelemetry/api-logs";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { AggregationType, MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";

const [protocol, address] = process.argv.slice(2);
const suffix = { grpc: "grpc", protobuf: "proto", json: "http" }[protocol];
const options = (path) => ({ url: protocol === "grpc" ? `http://${address}` : `http://${address}/v1/${path}` });
const { OTLPMetricExporter } = await import(`@opentelemetry/exporter-metrics-otlp-${suffix}`);
const { OTLPTraceExporter } = await import(`@opentelemetry/exporter-trace-otlp-${suffix}`);
const { OTLPLogExporter } = await import(`@opentelemetry/exporter-logs-otlp-${suffix}`);

const resource = resourceFromAttributes({ "service.name": "interop-js" });
const meters = new MeterProvider({
  resource,
  views: [{ instrumentName: "interop.exponential", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
  readers: [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(options("metrics")) })],
});
const tracers = new TracerProvider({
  resource,
  spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter(options("traces")) })],
});
const loggers = new LoggerProvider({
  resource,
  processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter(options("logs")) })],
});

const meter = meters.getMeter("interop", "1.2.3");
const some = { kind: "a" };
meter.createCounter("interop.counter", { unit: "By", description: "counted" }).add(41, some);
meter.createUpDownCounter("interop.updown").add(-1.5, some);
meter.createGauge("interop.gauge").record(36.6, some);
const histogram = meter.createHistogram("interop.histogram", { advice: { explicitBucketBoundaries: [1, 10] } });
const exponential = meter.createHistogram("interop.exponential");
for (const value of [0.5, 5, 50]) {
  histogram.record(value, some);
  exponential.record(value, some);
}
const observe = (result) => result.observe(2.5);
meter.createObservableCounter("interop.observable.counter").addCallback(observe);
meter.createObservableUpDownCounter("interop.observable.updown").addCallback(observe);
meter.createObservableGauge("interop.observable.gauge").addCallback(observe);

const span = tracers.getTracer("interop").startSpan("interop.span");
span.addEvent("interop.event");
span.end();
loggers.getLogger("interop").emit({ severityNumber: SeverityNumber.WARN, body: "interop.log" });

for (const provider of [meters, tracers, loggers]) {
  await provider.forceFlush();
  await provider.shutdown();
}
console.log("sent");
