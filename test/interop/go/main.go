// Sends what the OpenTelemetry Go SDK makes of every instrument, a trace and a log record to an OTLP receiver.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: interop grpc|http HOST:PORT")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := send(ctx, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("sent")
}

type exporters struct {
	metrics sdkmetric.Exporter
	traces  sdktrace.SpanExporter
	logs    sdklog.Exporter
}

func newExporters(ctx context.Context, protocol, address string) (exporters, error) {
	var all exporters
	var errs [3]error
	if protocol == "grpc" {
		all.metrics, errs[0] = otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(address), otlpmetricgrpc.WithInsecure(), otlpmetricgrpc.WithCompressor("gzip"))
		all.traces, errs[1] = otlptrace.New(ctx, otlptracegrpc.NewClient(otlptracegrpc.WithEndpoint(address), otlptracegrpc.WithInsecure()))
		all.logs, errs[2] = otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(address), otlploggrpc.WithInsecure())
	} else {
		all.metrics, errs[0] = otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(address), otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
		all.traces, errs[1] = otlptrace.New(ctx, otlptracehttp.NewClient(otlptracehttp.WithEndpoint(address), otlptracehttp.WithInsecure()))
		all.logs, errs[2] = otlploghttp.New(ctx, otlploghttp.WithEndpoint(address), otlploghttp.WithInsecure())
	}
	for _, err := range errs {
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

func send(ctx context.Context, protocol, address string) error {
	all, err := newExporters(ctx, protocol, address)
	if err != nil {
		return err
	}
	res := resource.NewSchemaless(attribute.String("service.name", "interop-go"))
	exponential := sdkmetric.NewView(
		sdkmetric.Instrument{Name: "interop.exponential"},
		sdkmetric.Stream{Aggregation: sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}},
	)
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithView(exponential), sdkmetric.WithReader(sdkmetric.NewPeriodicReader(all.metrics)))
	tracers := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithBatcher(all.traces))
	loggers := sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(sdklog.NewBatchProcessor(all.logs)))
	if err := measure(ctx, meters.Meter("interop", metric.WithInstrumentationVersion("1.2.3"))); err != nil {
		return err
	}
	_, span := tracers.Tracer("interop").Start(ctx, "interop.span")
	span.SetAttributes(attribute.Int64("big", 9007199254740993))
	span.AddEvent("interop.event")
	span.End()
	var record log.Record
	record.SetTimestamp(time.Unix(1700000000, 1))
	record.SetSeverity(log.SeverityWarn)
	record.SetBody(attribute.StringValue("interop.log"))
	loggers.Logger("interop").Emit(ctx, record)
	for _, shutdown := range []func(context.Context) error{meters.Shutdown, tracers.Shutdown, loggers.Shutdown} {
		if err := shutdown(ctx); err != nil {
			return err
		}
	}
	return nil
}

func measure(ctx context.Context, meter metric.Meter) error {
	counter, err := meter.Int64Counter("interop.counter", metric.WithUnit("By"), metric.WithDescription("counted"))
	if err != nil {
		return err
	}
	upDown, err := meter.Float64UpDownCounter("interop.updown")
	if err != nil {
		return err
	}
	gauge, err := meter.Float64Gauge("interop.gauge")
	if err != nil {
		return err
	}
	histogram, err := meter.Float64Histogram("interop.histogram", metric.WithExplicitBucketBoundaries(1, 10))
	if err != nil {
		return err
	}
	exponential, err := meter.Float64Histogram("interop.exponential")
	if err != nil {
		return err
	}
	constant := func(_ context.Context, o metric.Float64Observer) error { o.Observe(2.5); return nil }
	if _, err = meter.Float64ObservableCounter("interop.observable.counter", metric.WithFloat64Callback(constant)); err != nil {
		return err
	}
	if _, err = meter.Float64ObservableUpDownCounter("interop.observable.updown", metric.WithFloat64Callback(constant)); err != nil {
		return err
	}
	if _, err = meter.Float64ObservableGauge("interop.observable.gauge", metric.WithFloat64Callback(constant)); err != nil {
		return err
	}
	some := metric.WithAttributes(attribute.String("kind", "a"))
	counter.Add(ctx, 9007199254740993, some)
	upDown.Add(ctx, -1.5, some)
	gauge.Record(ctx, 36.6, some)
	for _, value := range []float64{0.5, 5, 50} {
		histogram.Record(ctx, value, some)
		exponential.Record(ctx, value, some)
	}
	return nil
}
