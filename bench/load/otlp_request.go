package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// otlpShape is what one request of the generator holds. Of traces and logs, points are spans and records.
type otlpShape struct {
	signal             string
	metrics            int
	points             int // of each metric
	attributes         int // of each item
	resourceAttributes int
	bodyBytes          int // of a log record
}

func (s otlpShape) items() int {
	if s.signal == "metrics" {
		return s.metrics * s.points
	}
	return s.points
}

// otlpTemplate is a serialized request whose times and values are overwritten before it is sent.
type otlpTemplate struct {
	bytes  []byte
	items  int
	times  []*int // where the fixed64 of each item's time is
	values []*int // the same of a point's value
	attrs  int    // of all items together
}

// protoWriter writes messages from the inside out and notes where numbers are that are overwritten later.
type protoWriter struct {
	bytes  []byte
	places []*int
}

func (w *protoWriter) open(field int) int {
	w.bytes = append(w.bytes, byte(field<<3|2))
	return len(w.bytes)
}

// close puts the length in front of what was written since open, in as few bytes as it takes.
func (w *protoWriter) close(at int) {
	length := binary.AppendUvarint(nil, uint64(len(w.bytes)-at))
	w.bytes = append(w.bytes, length...)
	copy(w.bytes[at+len(length):], w.bytes[at:len(w.bytes)-len(length)])
	copy(w.bytes[at:], length)
	for i := len(w.places) - 1; i >= 0 && *w.places[i] >= at; i-- {
		*w.places[i] += len(length)
	}
}

func (w *protoWriter) text(field int, text string) {
	w.bytes = append(w.bytes, byte(field<<3|2))
	w.bytes = binary.AppendUvarint(w.bytes, uint64(len(text)))
	w.bytes = append(w.bytes, text...)
}

func (w *protoWriter) varint(field int, value uint64) {
	w.bytes = append(w.bytes, byte(field<<3))
	w.bytes = binary.AppendUvarint(w.bytes, value)
}

func (w *protoWriter) fixed64(field int, value uint64) {
	w.bytes = append(w.bytes, byte(field<<3|1))
	w.bytes = binary.LittleEndian.AppendUint64(w.bytes, value)
}

// place writes a number that is overwritten later.
func (w *protoWriter) place(field int) *int {
	w.fixed64(field, 0)
	at := len(w.bytes) - 8
	w.places = append(w.places, &at)
	return &at
}

// attribute is written as senders do, with the shortest lengths.
func (w *protoWriter) attribute(field int, key, value string) {
	inner := append([]byte{1<<3 | 2}, binary.AppendUvarint(nil, uint64(len(value)))...)
	inner = append(inner, value...)
	pair := append([]byte{1<<3 | 2}, binary.AppendUvarint(nil, uint64(len(key)))...)
	pair = append(pair, key...)
	pair = append(pair, 2<<3|2)
	pair = binary.AppendUvarint(pair, uint64(len(inner)))
	pair = append(pair, inner...)
	w.text(field, string(pair))
}

const startOfTime = 1_700_000_000_000_000_000

// newOtlpTemplate makes the request of one client, told apart from others' by its resource.
func newOtlpTemplate(s otlpShape, client int) *otlpTemplate {
	w := &protoWriter{}
	t := &otlpTemplate{items: s.items(), attrs: s.items() * s.attributes}
	resource := w.open(1)
	r := w.open(1)
	w.attribute(1, "service.name", "bench")
	w.attribute(1, "service.instance.id", fmt.Sprintf("client-%d", client))
	for i := 2; i < s.resourceAttributes; i++ {
		w.attribute(1, fmt.Sprintf("resource.attribute.%d", i), fmt.Sprintf("resource value %d", i))
	}
	w.close(r)
	scope := w.open(2)
	n := w.open(1)
	w.text(1, "bench")
	w.text(2, "1.0")
	w.close(n)
	switch s.signal {
	case "metrics":
		for m := 0; m < s.metrics; m++ {
			t.metric(w, s, m)
		}
	case "traces":
		for i := 0; i < s.points; i++ {
			t.span(w, s, i)
		}
	default:
		for i := 0; i < s.points; i++ {
			t.record(w, s, i)
		}
	}
	w.close(scope)
	w.close(resource)
	t.bytes = w.bytes
	return t
}

func (t *otlpTemplate) attributes(w *protoWriter, field int, s otlpShape, item int) {
	for a := 0; a < s.attributes; a++ {
		w.attribute(field, fmt.Sprintf("label_%d", a), fmt.Sprintf("value_%d_%d", a, item%1000))
	}
}

func (t *otlpTemplate) metric(w *protoWriter, s otlpShape, m int) {
	metric := w.open(2)
	w.text(1, fmt.Sprintf("bench_metric_%d", m))
	w.text(2, "what the bench counts")
	w.text(3, "1")
	data := w.open(5 + m%2*2) // gauge and sum by turns
	for p := 0; p < s.points; p++ {
		point := w.open(1)
		w.fixed64(2, startOfTime)
		t.times = append(t.times, w.place(3))
		t.values = append(t.values, w.place(4))
		t.attributes(w, 7, s, p)
		w.close(point)
	}
	if m%2 == 1 {
		w.varint(2, 2)
		w.varint(3, 1)
	}
	w.close(data)
	w.close(metric)
}

func (t *otlpTemplate) span(w *protoWriter, s otlpShape, i int) {
	span := w.open(2)
	w.text(1, fmt.Sprintf("%016d", i))
	w.text(2, fmt.Sprintf("%08d", i+1))
	w.text(4, "00000000")
	w.text(5, "GET /api/items")
	w.varint(6, 2)
	t.times = append(t.times, w.place(7))
	w.fixed64(8, startOfTime)
	t.attributes(w, 9, s, i)
	status := w.open(15)
	w.varint(3, 1)
	w.close(status)
	w.close(span)
}

func (t *otlpTemplate) record(w *protoWriter, s otlpShape, i int) {
	record := w.open(2)
	t.times = append(t.times, w.place(1))
	w.varint(2, 9)
	w.text(3, "INFO")
	body := w.open(5)
	w.text(1, strings.Repeat("what a program has to say, at length. ", s.bodyBytes/38+1)[:s.bodyBytes])
	w.close(body)
	t.attributes(w, 6, s, i)
	w.close(record)
}

// stamp gives every item a time of its own from now on and every point a value; it returns their digest.
func (t *otlpTemplate) stamp(nowNano uint64, seed uint64) (d otlpDigest) {
	for i, at := range t.times {
		binary.LittleEndian.PutUint64(t.bytes[*at:], nowNano+uint64(i))
		d.times += nowNano + uint64(i)
	}
	for i, at := range t.values {
		bits := math.Float64bits(float64(seed%1_000_000) + float64(i)/8)
		binary.LittleEndian.PutUint64(t.bytes[*at:], bits)
		d.values += bits
	}
	d.items, d.attrs = t.items, t.attrs
	return d
}

// otlpDigest is what was sent or has arrived: sums that tell whether it is the same.
type otlpDigest struct {
	items, attrs  int
	times, values uint64
}

func (d *otlpDigest) add(e otlpDigest) {
	d.items += e.items
	d.attrs += e.attrs
	d.times += e.times
	d.values += e.values
}
