package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"io"
	"math"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// sink is a remote write 1.0 receiver that decodes every sample and books it by target and timestamp.
type sink struct {
	ledger *ledger
	byPort *[65536]int32
	bodies sync.Pool
	url    string
	down   atomic.Bool      // answers 503 and books nothing
	newest map[uint64]int64 // timestamp by hash of the labels; nil where nobody asks for the order
	seed   maphash.Seed
}

const (
	staleBits = 0x7ff0000000000002
	minLabels = 9 // of a scraped series: what the page gives, its name, job and instance
	maxBody   = 128 << 20
)

var errProto = errors.New("malformed write request")

type bodies struct {
	packed bytes.Buffer
	raw    []byte
}

func newSink(book *ledger, byPort *[65536]int32) (*sink, error) {
	s := &sink{ledger: book, byPort: byPort}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.url = "http://" + listener.Addr().String() + "/api/v1/write"
	go http.Serve(listener, s)
	return s, nil
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.down.Load() {
		io.Copy(io.Discard, r.Body)
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	b, _ := s.bodies.Get().(*bodies)
	if b == nil {
		b = new(bodies)
	}
	defer s.bodies.Put(b)
	b.packed.Reset()
	if _, err := b.packed.ReadFrom(io.LimitReader(r.Body, maxBody)); err != nil {
		s.reject(w, err)
		return
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "snappy" {
		s.reject(w, errors.New("content encoding "+encoding+" is not snappy"))
		return
	}
	raw, err := decodeSnappy(b.raw, b.packed.Bytes())
	if err != nil {
		s.reject(w, err)
		return
	}
	b.raw = raw
	if err := s.book(b.packed.Len(), raw); err != nil {
		s.reject(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *sink) reject(w http.ResponseWriter, err error) {
	s.ledger.mu.Lock()
	s.ledger.total.Rejected++
	s.ledger.window.Rejected++
	s.ledger.mu.Unlock()
	http.Error(w, err.Error(), http.StatusBadRequest)
}

// arrivals counts one request before it is added to the totals.
type arrivals struct {
	totals
	now int64
	// Of the series before: neighbours mostly come from one scrape of one target.
	instance  []byte
	target    int
	timestamp int64
	delivery  *delivery
	booked    int
	labels    []byte // of the series that is read
}

func (s *sink) book(wireBytes int, raw []byte) error {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	a := arrivals{now: time.Now().UnixMilli(), target: -1, booked: -1}
	err := fields(raw, func(number int, value []byte, _ uint64) error {
		switch number {
		case 1:
			return s.series(value, &a)
		case 3:
			a.Metadata++
		}
		return nil
	})
	for _, t := range []*totals{&s.ledger.total, &s.ledger.window} {
		t.Requests++
		t.WireBytes += wireBytes
		t.RawBytes += len(raw)
		t.Delivered += a.Delivered
		t.Stale += a.Stale
		t.Report += a.Report
		t.Metadata += a.Metadata
		t.Malformed += a.Malformed
	}
	return err
}

// The names of two labels as little-endian numbers.
const (
	keyName     = 0x5f5f656d616e5f5f // __name__
	keyInstance = 0x65636e6174736e69 // instance
)

func (s *sink) series(raw []byte, a *arrivals) error {
	var name []byte
	labels, target := 0, -1
	a.labels = nil
	for i := 0; i < len(raw); {
		tag, before := raw[i], i
		length, n := uvarint(raw[i+1:])
		i += 1 + n
		if n <= 0 || length > uint64(len(raw)-i) {
			return errProto
		}
		part := raw[i : i+int(length)]
		i += int(length)
		switch tag {
		case 1<<3 | 2:
			labels++
			key, value, ok := shortLabel(part)
			if !ok {
				if key, value, ok = label(part); !ok {
					return errProto
				}
			}
			if len(key) != 8 {
				continue
			}
			switch binary.LittleEndian.Uint64(key) {
			case keyName:
				name = value
			case keyInstance:
				if !bytes.Equal(value, a.instance) {
					a.instance, a.target = value, s.target(value)
				}
				target = a.target
			}
		case 2<<3 | 2:
			if a.labels == nil {
				a.labels = raw[:before]
			}
			if err := s.sample(part, name, labels, target, a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *sink) sample(part, name []byte, labels, target int, a *arrivals) error {
	var value, timestamp uint64
	for i := 0; i < len(part); {
		switch part[i] {
		case 1<<3 | 1:
			if i+9 > len(part) {
				return errProto
			}
			value = binary.LittleEndian.Uint64(part[i+1:])
			i += 9
		case 2 << 3:
			v, n := uvarint(part[i+1:])
			if n <= 0 {
				return errProto
			}
			timestamp = v
			i += 1 + n
		default:
			return errProto
		}
	}
	if s.newest != nil {
		s.order(a.labels, int64(timestamp))
	}
	switch {
	case value == staleBits:
		a.Stale++
	case isReport(name):
		a.Report++
	case target < 0 || labels < minLabels || len(name) == 0:
		a.Malformed++
	default:
		a.Delivered++
		if target != a.booked || int64(timestamp) != a.timestamp {
			a.booked, a.timestamp = target, int64(timestamp)
			a.delivery = s.ledger.accounts[target].deliveryOf(a.timestamp)
		}
		a.delivery.samples++
		a.delivery.digest += digestOf(math.Float64frombits(value))
		late := min(max(a.now-int64(timestamp), 0), maxLatencyMs)
		s.ledger.latency[late]++
	}
	return nil
}

// order counts a sample that comes behind a newer one of its series.
func (s *sink) order(labels []byte, timestamp int64) {
	series := maphash.Bytes(s.seed, labels)
	if newest, known := s.newest[series]; known && timestamp < newest {
		s.ledger.misplaced++
		return
	}
	s.newest[series] = timestamp
}

// isReport tells what a scraper adds of its own from what a page holds.
func isReport(name []byte) bool {
	switch string(name) {
	case "up", "target_info", "otel_scope_info":
		return true
	}
	return bytes.HasPrefix(name, []byte("scrape_"))
}

func (s *sink) target(instance []byte) int {
	port := 0
	for i := bytes.LastIndexByte(instance, ':') + 1; i < len(instance); i++ {
		port = port*10 + int(instance[i]-'0')
	}
	return int(s.byPort[port&0xffff]) - 1
}

// shortLabel reads a label as nearly all are: key and value in this order, each shorter than 128 bytes.
func shortLabel(part []byte) (key, value []byte, ok bool) {
	if len(part) < 4 || part[0] != 1<<3|2 {
		return nil, nil, false
	}
	at := 2 + int(part[1]) // of the value's tag
	if at+1 >= len(part) || part[at] != 2<<3|2 || at+2+int(part[at+1]) != len(part) || (part[1]|part[at+1]) >= 0x80 {
		return nil, nil, false
	}
	return part[2:at], part[at+2:], true
}

func label(part []byte) (key, value []byte, ok bool) {
	for i := 0; i+1 < len(part); {
		tag := part[i]
		length, n := uvarint(part[i+1:])
		i += 1 + n
		if n <= 0 || length > uint64(len(part)-i) {
			return nil, nil, false
		}
		if tag == 1<<3|2 {
			key = part[i : i+int(length)]
		} else if tag == 2<<3|2 {
			value = part[i : i+int(length)]
		}
		i += int(length)
	}
	return key, value, true
}

// fields walks a message and gives each field's bytes (wire type 2) or number (wire type 0).
func fields(raw []byte, each func(number int, value []byte, varint uint64) error) error {
	for i := 0; i < len(raw); {
		tag, n := uvarint(raw[i:])
		i += max(n, 0)
		value, m := uvarint(raw[i:])
		i += max(m, 0)
		if n <= 0 || m <= 0 {
			return errProto
		}
		var part []byte
		switch tag & 7 {
		case 0:
		case 2:
			if value > uint64(len(raw)-i) {
				return errProto
			}
			part = raw[i : i+int(value)]
			i += int(value)
		default:
			return errProto
		}
		if err := each(int(tag>>3), part, value); err != nil {
			return err
		}
	}
	return nil
}

// uvarint is binary.Uvarint with its common case, one byte, inlined.
func uvarint(raw []byte) (uint64, int) {
	if len(raw) > 0 && raw[0] < 0x80 {
		return uint64(raw[0]), 1
	}
	return binary.Uvarint(raw)
}
