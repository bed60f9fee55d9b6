package main

import (
	"testing"
	"time"
)

func TestOtlpTemplateArrivesAsItWasStamped(t *testing.T) {
	for _, signal := range []string{"metrics", "traces", "logs"} {
		shape := otlpShape{signal: signal, metrics: 10, points: 300, attributes: 6, resourceAttributes: 25, bodyBytes: 1000}
		template := newOtlpTemplate(shape, 3)
		sent := template.stamp(uint64(time.Now().UnixNano()), 7)
		sent.add(template.stamp(uint64(time.Now().UnixNano()), 8))
		sink := &otlpSink{}
		template.stamp(0, 0)
		first := template.stamp(5_000, 7)
		if err := sink.book("/v1/"+signal, template.bytes, 0); err != nil {
			t.Fatal(signal, err)
		}
		if sink.arrived != first {
			t.Errorf("%s: %+v arrived of %+v", signal, sink.arrived, first)
		}
		if sent.items != 2*shape.items() {
			t.Errorf("%s: %d items in two requests of %d", signal, sent.items, shape.items())
		}
	}
}

func TestOtlpGeneratorReachesTheSink(t *testing.T) {
	for _, isGrpc := range []bool{false, true} {
		for _, isZipped := range []bool{false, true} {
			sink, err := newOtlpSink()
			if err != nil {
				t.Fatal(err)
			}
			g := newGenerator(generatorOptions{
				shape: otlpShape{signal: "metrics", metrics: 100, points: 7, attributes: 2, resourceAttributes: 2},
				grpc:  isGrpc, gzip: isZipped, target: sink.address, clients: 2, parallel: 4, rate: 500,
			})
			g.start()
			for {
				g.mu.Lock()
				requests := g.requests + g.refused
				g.mu.Unlock()
				if requests >= 20 {
					break
				}
				time.Sleep(time.Millisecond)
			}
			g.stop()
			if g.refused != 0 || sink.arrived != g.sent || sink.requests != g.requests {
				t.Errorf("grpc %v, gzip %v: sent %+v, arrived %+v, %s", isGrpc, isZipped, g.sent, sink.arrived, g.fault)
			}
		}
	}
}
