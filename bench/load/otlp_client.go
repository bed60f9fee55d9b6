package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var grpcServices = map[string]string{
	"metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
	"traces":  "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
	"logs":    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}

type generatorOptions struct {
	shape    otlpShape
	target   string // host:port
	grpc     bool
	gzip     bool
	clients  int     // connections by gRPC; by HTTP/1.1 each call under way has its own
	parallel int     // calls at once of each client
	rate     float64 // requests a second, of all clients together
}

// generator sends requests at a rate, by as many calls at once as it takes and options allow.
type generator struct {
	options generatorOptions
	next    atomic.Int64
	stopped chan struct{}
	done    sync.WaitGroup
	begun   time.Time

	mu        sync.Mutex
	sent      otlpDigest // of requests that were taken
	requests  int
	bytes     int // of messages, unpacked
	wireBytes int // of messages, as they travel
	repeated  int // asked for by the subject
	refused   int
	fault     string
	latency   latencies // of the window
}

func newGenerator(options generatorOptions) *generator {
	return &generator{options: options, stopped: make(chan struct{})}
}

func (g *generator) start() {
	g.begun = time.Now()
	for c := 0; c < g.options.clients; c++ {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!g.options.grpc)
		protocols.SetUnencryptedHTTP2(g.options.grpc)
		transport := &http.Transport{
			Protocols: protocols, MaxIdleConnsPerHost: g.options.parallel, DisableCompression: true,
		}
		if g.options.grpc {
			transport.MaxConnsPerHost = 1
		}
		for p := 0; p < g.options.parallel; p++ {
			g.done.Add(1)
			go g.run(c, transport)
		}
	}
}

// stop waits for what is under way.
func (g *generator) stop() {
	close(g.stopped)
	g.done.Wait()
}

func (g *generator) run(client int, transport *http.Transport) {
	defer g.done.Done()
	t := newOtlpTemplate(g.options.shape, client)
	packer := &messagePacker{gzip: g.options.gzip}
	for {
		n := g.next.Add(1)
		due := g.begun.Add(time.Duration(float64(n) / g.options.rate * float64(time.Second)))
		select {
		case <-g.stopped:
			return
		case <-time.After(time.Until(due)):
		}
		now := time.Now()
		digest := t.stamp(uint64(now.UnixNano()), uint64(n))
		wire, err := g.sendUntilTaken(transport, packer, t.bytes)
		took := time.Since(now)
		g.mu.Lock()
		g.latency.add(took)
		if errors.Is(err, errBusy) {
			// It was not taken: nothing of it has to arrive.
		} else if err != nil {
			g.refused++
			g.fault = err.Error()
		} else {
			g.sent.add(digest)
			g.requests++
			g.bytes += len(t.bytes)
			g.wireBytes += wire
		}
		g.mu.Unlock()
	}
}

const repeatAfter = 50 * time.Millisecond

var errBusy = errors.New("the subject was busy to the end")

// sendUntilTaken does as clients do that are told to come again: gRPC's UNAVAILABLE and RESOURCE_EXHAUSTED, HTTP's 429 and 503.
func (g *generator) sendUntilTaken(transport *http.Transport, packer *messagePacker, message []byte) (int, error) {
	for {
		wire, err := g.send(transport, packer, message)
		if !errors.Is(err, errBusy) {
			return wire, err
		}
		g.mu.Lock()
		g.repeated++
		g.mu.Unlock()
		select {
		case <-g.stopped:
			return 0, errBusy
		case <-time.After(repeatAfter):
		}
	}
}

func (g *generator) send(transport *http.Transport, packer *messagePacker, message []byte) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	body := packer.pack(message, g.options.grpc)
	url := "http://" + g.options.target + "/v1/" + g.options.shape.signal
	if g.options.grpc {
		url = "http://" + g.options.target + grpcServices[g.options.shape.signal]
	}
	request, err := http.NewRequestWithContext(ctx, "POST", url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	if g.options.grpc {
		request.Header.Set("Content-Type", "application/grpc")
		request.Header.Set("Te", "trailers")
		if g.options.gzip {
			request.Header.Set("Grpc-Encoding", "gzip")
		}
	} else {
		request.Header.Set("Content-Type", "application/x-protobuf")
		if g.options.gzip {
			request.Header.Set("Content-Encoding", "gzip")
		}
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	answer, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil {
		return 0, err
	}
	if response.StatusCode == 429 || response.StatusCode == 503 {
		return 0, errBusy
	}
	if response.StatusCode != 200 {
		return 0, fmt.Errorf("HTTP status %d: %.200s", response.StatusCode, answer)
	}
	if g.options.grpc {
		status := response.Trailer.Get("Grpc-Status")
		if status == "" {
			status = response.Header.Get("Grpc-Status")
		}
		if status == "14" || status == "8" {
			return 0, errBusy
		}
		if status != "0" {
			message := response.Trailer.Get("Grpc-Message") + response.Header.Get("Grpc-Message")
			return 0, errors.New(strings.TrimSpace("gRPC status " + status + " " + message))
		}
	}
	return len(body), nil
}

// messagePacker makes the body of a request, in memory that the next one overwrites.
type messagePacker struct {
	gzip   bool
	buffer bytes.Buffer
	zipper *gzip.Writer
}

func (p *messagePacker) pack(message []byte, framed bool) []byte {
	p.buffer.Reset()
	if framed {
		p.buffer.Write([]byte{0, 0, 0, 0, 0})
	}
	if p.gzip {
		if p.zipper == nil {
			p.zipper, _ = gzip.NewWriterLevel(&p.buffer, gzip.BestSpeed)
		} else {
			p.zipper.Reset(&p.buffer)
		}
		p.zipper.Write(message)
		p.zipper.Close()
	} else {
		p.buffer.Write(message)
	}
	body := p.buffer.Bytes()
	if framed {
		if p.gzip {
			body[0] = 1
		}
		binary.BigEndian.PutUint32(body[1:], uint32(len(body)-5))
	}
	return body
}

const (
	latencyStep = 100 * time.Microsecond
	maxSteps    = 600_000
)

// latencies counts durations in steps of a tenth of a millisecond.
type latencies struct {
	counts [maxSteps + 1]uint32
	total  int
}

func (l *latencies) add(d time.Duration) {
	l.counts[min(max(d/latencyStep, 0), maxSteps)]++
	l.total++
}

func (l *latencies) clear() {
	clear(l.counts[:])
	l.total = 0
}

// percentileMs is 0 where nothing was counted.
func (l *latencies) percentileMs(share float64) float64 {
	rank := int(float64(l.total) * share)
	for step, n := range l.counts {
		if rank -= int(n); rank < 0 {
			return float64(step) * float64(latencyStep) / float64(time.Millisecond)
		}
	}
	return 0
}
