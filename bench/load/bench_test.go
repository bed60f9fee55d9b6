package main

import (
	"bytes"
	"encoding/binary"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
)

func BenchmarkRender(b *testing.B) {
	p := newPage(0, pageOptions{series: 5000})
	var out []byte
	for b.Loop() {
		out, _ = p.render(out[:0])
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/5000, "ns/line")
}

func BenchmarkSink(b *testing.B) {
	s := &sink{ledger: newLedger(1), byPort: new([65536]int32)}
	s.byPort[40000] = 1
	packed := snappyOf(writeRequest())
	b.ResetTimer()
	for b.Loop() {
		r := httptest.NewRequest("POST", "/", bytes.NewReader(packed))
		r.Header.Set("Content-Encoding", "snappy")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 204 {
			b.Fatal(w.Body)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/5000, "ns/sample")
}

// writeRequest has the first scrape of a page as a scraper would send it.
func writeRequest() (request []byte) {
	text, _ := newPage(0, pageOptions{series: 5000}).render(nil)
	for _, l := range strings.Split(string(text), "\n") {
		name, rest, found := strings.Cut(l, "{")
		if !found || l[0] == '#' {
			continue
		}
		series := appendLabel(nil, "__name__", name)
		labels, _, _ := strings.Cut(rest, "} ")
		for _, pair := range strings.Split(labels, ",") {
			key, value, _ := strings.Cut(pair, "=")
			series = appendLabel(series, key, strings.Trim(value, `"`))
		}
		series = appendLabel(appendLabel(series, "instance", "127.0.0.1:40000"), "job", "bench")
		sample := binary.LittleEndian.AppendUint64([]byte{9}, math.Float64bits(1))
		sample = binary.AppendUvarint(append(sample, 16), 1_700_000_000_000)
		request = appendField(request, 1, appendField(series, 2, sample))
	}
	return request
}

func appendLabel(out []byte, key, value string) []byte {
	return appendField(out, 1, appendField(appendField(nil, 1, []byte(key)), 2, []byte(value)))
}

func appendField(out []byte, number int, value []byte) []byte {
	return append(binary.AppendUvarint(append(out, byte(number<<3|2)), uint64(len(value))), value...)
}

// snappyOf writes copies of what came 100 to 400 bytes before, so that the decoder has both kinds of work.
func snappyOf(raw []byte) []byte {
	out := binary.AppendUvarint(nil, uint64(len(raw)))
	literal := 0
	flush := func(end int) {
		for literal < end {
			n := min(end-literal, 60)
			out = append(append(out, byte(n-1)<<2), raw[literal:literal+n]...)
			literal += n
		}
	}
	seen := map[string]int{}
	for i := 0; i+8 <= len(raw); {
		at, known := seen[string(raw[i:i+8])]
		seen[string(raw[i:i+8])] = i
		if !known || i-at > 0xffff {
			i++
			continue
		}
		flush(i)
		n := 8
		for n < 64 && i+n < len(raw) && raw[at+n] == raw[i+n] {
			n++
		}
		out = binary.LittleEndian.AppendUint16(append(out, byte(n-1)<<2|2), uint16(i-at))
		i += n
		literal = i
	}
	flush(len(raw))
	return out
}
