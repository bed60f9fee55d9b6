package main

import (
	"compress/gzip"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const contentType = "text/plain; version=0.0.4; charset=utf-8"

// exporter serves every target on a port of its own, so that each has its own address as in the field.
type exporter struct {
	gzip bool
	// path is this exporter's own: others on the machine may still ask a port that was another exporter's before, and a
	// page that such a stranger gets must not be booked as served to the subject.
	path    string
	pages   []*page
	ports   []int
	byPort  [65536]int32 // target + 1
	ledger  *ledger
	server  *http.Server
	silent  atomic.Bool // no page is served any more, and nobody is told so
	buffers sync.Pool
	zippers sync.Pool
}

func newExporter(targets int, options pageOptions, zip bool, book *ledger) (*exporter, error) {
	e := &exporter{gzip: zip, ledger: book}
	e.server = &http.Server{Handler: e, ReadHeaderTimeout: time.Minute}
	var listeners []net.Listener
	for t := 0; t < targets; t++ {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		port := listener.Addr().(*net.TCPAddr).Port
		e.pages = append(e.pages, newPage(t, options))
		e.ports = append(e.ports, port)
		e.byPort[port] = int32(t) + 1
		listeners = append(listeners, listener)
	}
	e.path = fmt.Sprintf("/metrics/%d", e.ports[0])
	for _, listener := range listeners {
		go e.server.Serve(listener)
	}
	return e, nil
}

func (e *exporter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != e.path {
		http.NotFound(w, r)
		return
	}
	if e.silent.Load() {
		<-r.Context().Done()
		return
	}
	target := e.byPort[localPort(r.Context())] - 1
	buffer, _ := e.buffers.Get().(*[]byte)
	if buffer == nil {
		buffer = new([]byte)
	}
	defer e.buffers.Put(buffer)
	var s served
	*buffer, s = e.pages[target].render((*buffer)[:0])
	w.Header().Set("Content-Type", contentType)
	var err error
	if e.gzip && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		err = e.writeGzip(w, *buffer)
	} else {
		w.Header().Set("Content-Length", strconv.Itoa(len(*buffer)))
		_, err = w.Write(*buffer)
	}
	e.ledger.scraped(int(target), s, len(*buffer), err == nil)
}

// writeGzip streams, so that net/http sends chunks of unknown total length, as Go's exporters do.
func (e *exporter) writeGzip(w http.ResponseWriter, text []byte) error {
	w.Header().Set("Content-Encoding", "gzip")
	zip, _ := e.zippers.Get().(*gzip.Writer)
	if zip == nil {
		zip = gzip.NewWriter(w)
	} else {
		zip.Reset(w)
	}
	defer e.zippers.Put(zip)
	if _, err := zip.Write(text); err != nil {
		return err
	}
	return zip.Close()
}

func localPort(ctx context.Context) int {
	address, _ := ctx.Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return address.Port
}
