"""Sends what the OpenTelemetry Python SDK makes of every instrument, a trace and a log record to an OTLP receiver."""

import importlib
import sys

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def exporter(protocol, address, module, name, path):
    package = "grpc" if protocol == "grpc" else "http"
    cls = getattr(importlib.import_module(f"opentelemetry.exporter.otlp.proto.{package}.{module}"), name)
    if protocol == "grpc":
        return cls(endpoint=address, insecure=True, timeout=10)
    return cls(endpoint=f"http://{address}/v1/{path}", timeout=10)


def measure(meter):
    def observe(_options):
        return [Observation(2.5)]

    some = {"kind": "a"}
    meter.create_counter("interop.counter", unit="By", description="counted").add(9007199254740993, some)
    meter.create_up_down_counter("interop.updown").add(-1.5, some)
    meter.create_gauge("interop.gauge").set(36.6, some)
    histogram = meter.create_histogram("interop.histogram")
    exponential = meter.create_histogram("interop.exponential")
    for value in (0.5, 5, 50):
        histogram.record(value, some)
        exponential.record(value, some)
    meter.create_observable_counter("interop.observable.counter", [observe])
    meter.create_observable_up_down_counter("interop.observable.updown", [observe])
    meter.create_observable_gauge("interop.observable.gauge", [observe])


def main():
    protocol, address = sys.argv[1:3]
    resource = Resource({"service.name": "interop-python"})
    meters = MeterProvider(
        [PeriodicExportingMetricReader(exporter(protocol, address, "metric_exporter", "OTLPMetricExporter", "metrics"))],
        resource=resource,
        views=[
            View(instrument_name="interop.histogram", aggregation=ExplicitBucketHistogramAggregation((1, 10))),
            View(instrument_name="interop.exponential", aggregation=ExponentialBucketHistogramAggregation()),
        ],
    )
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(
        BatchSpanProcessor(exporter(protocol, address, "trace_exporter", "OTLPSpanExporter", "traces"))
    )
    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(
        BatchLogRecordProcessor(exporter(protocol, address, "_log_exporter", "OTLPLogExporter", "logs"))
    )
    measure(meters.get_meter("interop", "1.2.3"))
    span = tracers.get_tracer("interop").start_span("interop.span")
    span.add_event("interop.event")
    span.end()
    loggers.get_logger("interop").emit(
        LogRecord(timestamp=1700000000000000001, severity_number=SeverityNumber.WARN, body="interop.log")
    )
    for provider in (meters, tracers, loggers):
        provider.shutdown()
    print("sent")


main()
