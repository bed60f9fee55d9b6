package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// otlpBench is the generator of OTLP requests, or a scraped exporter, with the sink behind the subject.
type otlpBench struct {
	generator *generator // nil where pages are scraped
	exporter  *exporter
	book      *ledger
	sink      *otlpSink
	guarded   int
	begun     time.Time
	opened    int  // attributes that the subject adds to each item
	isWrite   bool // remote write carries no nanoseconds and other labels
}

// otlpState counts since the start; times and values must be equal where both sides have them.
type otlpState struct {
	Seconds     float64 `json:"seconds"`
	Requests    int     `json:"requests"` // taken by the subject, or scrapes
	Sent        int     `json:"sent"`     // items, or samples that pages held
	SentBytes   int     `json:"sentBytes"`
	SentWire    int     `json:"sentWire"`
	Repeated    int     `json:"repeated"`
	Refused     int     `json:"refused"`
	Fault       string  `json:"fault"`
	Arrived     int     `json:"arrived"`
	OutRequests int     `json:"outRequests"`
	OutBytes    int     `json:"outBytes"`
	OutWire     int     `json:"outWire"`
	Rejected    int     `json:"rejected"`
	SinkFault   string  `json:"sinkFault"`
	Wrong       string  `json:"wrong"` // how what arrived differs from what was sent; empty where it does not
	P50Ms       float64 `json:"p50Ms"`
	P99Ms       float64 `json:"p99Ms"`
	CallP50Ms   float64 `json:"callP50Ms"`
	CallP99Ms   float64 `json:"callP99Ms"`
}

func (b *otlpBench) state() (st otlpState) {
	st.Seconds = time.Since(b.begun).Seconds()
	var sent otlpDigest
	if g := b.generator; g != nil {
		g.mu.Lock()
		sent = g.sent
		st.Requests, st.Sent, st.SentBytes, st.SentWire = g.requests, sent.items, g.bytes, g.wireBytes
		st.Repeated, st.Refused, st.Fault = g.repeated, g.refused, g.fault
		st.CallP50Ms, st.CallP99Ms = g.latency.percentileMs(0.5), g.latency.percentileMs(0.99)
		g.mu.Unlock()
	} else {
		b.book.mu.Lock()
		t := b.book.total
		b.book.mu.Unlock()
		st.Requests, st.Sent, st.SentBytes, st.SentWire, st.Refused = t.Scrapes, t.Served, t.ServedB, t.ServedB, t.Aborted
	}
	s := b.sink
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Arrived = s.samples
	if b.generator != nil {
		st.Arrived = s.arrived.items
		st.Wrong = b.differs(sent, s.arrived)
	} else if st.Sent != st.Arrived {
		st.Wrong = fmt.Sprintf("%d samples were scraped and %d arrived", st.Sent, st.Arrived)
	}
	st.OutRequests, st.OutBytes, st.OutWire = s.requests, s.bytes, s.wireBytes
	st.Rejected, st.SinkFault = s.rejected, s.fault
	st.P50Ms, st.P99Ms = s.latency.percentileMs(0.5), s.latency.percentileMs(0.99)
	return st
}

func (b *otlpBench) differs(sent, arrived otlpDigest) string {
	switch {
	case sent.items != arrived.items:
		return fmt.Sprintf("%d items were sent and %d arrived", sent.items, arrived.items)
	case sent.values != arrived.values:
		return "values arrived that were not sent"
	case b.isWrite:
		return ""
	case sent.times != arrived.times:
		return "times arrived that were not sent"
	case sent.attrs+sent.items*b.opened != arrived.attrs:
		return fmt.Sprintf("%d attributes were to arrive and %d did", sent.attrs+sent.items*b.opened, arrived.attrs)
	}
	return ""
}

// answer runs one command of the runner: "start" sending, "begin" a window of latencies, "state", "stop" sending, "guard PID".
func (b *otlpBench) answer(line string) any {
	command, argument, _ := strings.Cut(line, " ")
	switch command {
	case "start":
		if b.generator != nil {
			b.generator.start()
		}
	case "begin":
		b.begun = time.Now()
		b.sink.mu.Lock()
		b.sink.latency.clear()
		b.sink.mu.Unlock()
		if g := b.generator; g != nil {
			g.mu.Lock()
			g.latency.clear()
			g.mu.Unlock()
		}
	case "stop":
		if b.generator != nil {
			b.generator.stop()
		} else {
			b.exporter.silent.Store(true) // a target that is gone would be told of by points of their own
		}
	case "guard":
		b.guarded, _ = strconv.Atoi(argument)
	case "state":
	default:
		return map[string]string{"error": "unknown command " + command}
	}
	return b.state()
}

func otlpMain(arguments []string) {
	flags := flag.NewFlagSet("otlp", flag.ExitOnError)
	var o generatorOptions
	flags.StringVar(&o.shape.signal, "signal", "metrics", "metrics, traces or logs")
	flags.IntVar(&o.shape.metrics, "metrics", 100, "metrics of a request")
	flags.IntVar(&o.shape.points, "points", 7, "points of a metric; spans or log records of a request")
	flags.IntVar(&o.shape.attributes, "attributes", 2, "attributes of an item")
	flags.IntVar(&o.shape.resourceAttributes, "resource-attributes", 2, "attributes of a resource, at least 2")
	flags.IntVar(&o.shape.bodyBytes, "body", 1000, "bytes of a log record's body")
	flags.StringVar(&o.target, "target", "", "host and port of the subject; empty: pages are scraped instead")
	flags.BoolVar(&o.grpc, "grpc", false, "send by gRPC instead of HTTP")
	flags.BoolVar(&o.gzip, "gzip", false, "send gzip of level 1")
	flags.IntVar(&o.clients, "clients", 2, "clients, each with a resource and by gRPC a connection of its own")
	flags.IntVar(&o.parallel, "parallel", 16, "calls at once of each client")
	flags.Float64Var(&o.rate, "rate", 100, "requests a second, of all clients together")
	targets := flags.Int("targets", 100, "scraped targets")
	series := flags.Int("series", 5000, "series of a scraped target")
	b := &otlpBench{begun: time.Now()}
	flags.IntVar(&b.opened, "added-attributes", 0, "attributes that the subject adds to each item")
	flags.BoolVar(&b.isWrite, "remote-write", false, "the sink gets remote write")
	flags.Parse(arguments)
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	debug.SetGCPercent(400)
	ready := map[string]any{"ports": []int{}}
	if o.target == "" {
		b.book = newLedger(*targets)
		e, err := newExporter(*targets, pageOptions{series: *series}, false, b.book)
		exitOn(err)
		b.exporter = e
		ready["ports"] = e.ports
	} else {
		b.generator = newGenerator(o)
	}
	s, err := newOtlpSink()
	exitOn(err)
	b.sink = s
	ready["sink"] = s.address
	out := json.NewEncoder(os.Stdout)
	out.Encode(ready)
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		out.Encode(b.answer(commands.Text()))
	}
	if b.guarded > 1 { // the runner ended without having stopped its subject
		syscall.Kill(-b.guarded, syscall.SIGKILL)
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
