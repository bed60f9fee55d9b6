package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// otlpSink takes OTLP by gRPC and HTTP and remote write 1.0, all on one port, and opens every item.
type otlpSink struct {
	address string
	buffers sync.Pool

	mu        sync.Mutex
	arrived   otlpDigest
	samples   int // what a Prometheus page has in lines for the points that came
	requests  int
	bytes     int
	wireBytes int
	rejected  int
	fault     string
	latency   latencies // of the window, from an item's time to its arrival
}

type otlpBuffers struct {
	packed bytes.Buffer
	plain  bytes.Buffer
	raw    []byte
	zip    *gzip.Reader
}

func newOtlpSink() (*otlpSink, error) {
	s := &otlpSink{}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.address = listener.Addr().String()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: s, Protocols: protocols,
		// As a server in Go's gRPC: it takes frames of 16 KiB; the windows are wide enough not to hold a sender up.
		HTTP2: &http.HTTP2Config{
			MaxReadFrameSize: 16 << 10, MaxReceiveBufferPerStream: 4 << 20, MaxReceiveBufferPerConnection: 16 << 20,
		},
	}
	go server.Serve(listener)
	return s, nil
}

func (s *otlpSink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := s.buffers.Get().(*otlpBuffers)
	if b == nil {
		b = new(otlpBuffers)
	}
	defer s.buffers.Put(b)
	isGrpc := strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
	message, err := b.read(r, isGrpc)
	if err == nil {
		err = s.book(r.URL.Path, message, b.packed.Len())
	}
	if err != nil {
		s.mu.Lock()
		s.rejected++
		s.fault = err.Error()
		s.mu.Unlock()
	}
	if isGrpc {
		w.Header().Set("Content-Type", "application/grpc")
		if err != nil {
			w.Header().Set(http.TrailerPrefix+"Grpc-Message", err.Error())
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "3")
		} else {
			w.Write([]byte{0, 0, 0, 0, 0})
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		}
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.WriteHeader(http.StatusOK)
}

var errFrame = errors.New("malformed gRPC frame")

func (b *otlpBuffers) read(r *http.Request, isGrpc bool) ([]byte, error) {
	b.packed.Reset()
	if _, err := b.packed.ReadFrom(io.LimitReader(r.Body, maxBody)); err != nil {
		return nil, err
	}
	message := b.packed.Bytes()
	encoding := r.Header.Get("Content-Encoding")
	if isGrpc {
		encoding = ""
		if len(message) < 5 || int(binary.BigEndian.Uint32(message[1:])) != len(message)-5 {
			return nil, errFrame
		}
		if message[0] == 1 {
			encoding = r.Header.Get("Grpc-Encoding")
		}
		message = message[5:]
	}
	switch encoding {
	case "", "identity":
		return message, nil
	case "snappy":
		raw, err := decodeSnappy(b.raw, message)
		b.raw = raw
		return raw, err
	case "gzip":
		return b.unzip(message)
	}
	return nil, errors.New("encoding " + encoding + " is not known here")
}

func (b *otlpBuffers) unzip(message []byte) ([]byte, error) {
	var err error
	if b.zip == nil {
		b.zip, err = gzip.NewReader(bytes.NewReader(message))
	} else {
		err = b.zip.Reset(bytes.NewReader(message))
	}
	if err != nil {
		return nil, err
	}
	b.plain.Reset()
	_, err = b.plain.ReadFrom(io.LimitReader(b.zip, maxBody))
	return b.plain.Bytes(), err
}

func (s *otlpSink) book(path string, message []byte, wireBytes int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	now := time.Now()
	switch {
	case path == "/api/v1/write":
		err = eachField(message, 1, func(series []byte) error { return s.series(series, now) })
	case strings.Contains(path, "etrics"):
		err = s.items(message, now, s.metric)
	case strings.Contains(path, "race"):
		err = s.items(message, now, func(span []byte, now time.Time) error { return s.item(span, 7, 9, now) })
	default:
		err = s.items(message, now, func(record []byte, now time.Time) error { return s.item(record, 1, 6, now) })
	}
	s.requests++
	s.bytes += len(message)
	s.wireBytes += wireBytes
	return err
}

func (s *otlpSink) items(message []byte, now time.Time, each func([]byte, time.Time) error) error {
	return eachField(message, 1, func(resource []byte) error {
		return eachField(resource, 2, func(scope []byte) error {
			return eachField(scope, 2, func(item []byte) error { return each(item, now) })
		})
	})
}

func (s *otlpSink) metric(metric []byte, now time.Time) error {
	isOwn := false
	// The name may stand behind the data.
	if err := eachField(metric, 1, func(name []byte) error {
		isOwn = isReport(name)
		return nil
	}); err != nil || isOwn {
		return err
	}
	return wireFields(metric, func(number, wire int, part []byte, _ uint64) error {
		switch {
		case wire != 2:
		case number == 5, number == 7, number >= 9 && number <= 11:
			return eachField(part, 1, func(point []byte) error { return s.point(point, number, now) })
		}
		return nil
	})
}

// point counts a data point. A classic histogram stands for its buckets, its sum and its count.
func (s *otlpSink) point(point []byte, kind int, now time.Time) error {
	var at, value uint64
	attributes, lines := 0, 1
	hasNoValue := false
	err := wireFields(point, func(number, wire int, part []byte, v uint64) error {
		switch {
		case number == 3:
			at = v
		case kind <= 7 && (number == 4 || number == 6):
			value = v
		case number == 7 && kind <= 7, number == 9 && kind == 9:
			attributes++
		case kind == 9 && number == 6 && wire == 2:
			lines = len(part)/8 + 2
		case kind == 9 && number == 6 && wire == 1:
			lines = max(lines, 3) + 1 // unpacked: one bucket each
		case number == 8 && kind <= 7, number == 10 && kind == 9:
			hasNoValue = v&1 == 1
		}
		return nil
	})
	if err != nil || hasNoValue {
		return err
	}
	s.samples += lines
	s.arrived.add(otlpDigest{items: 1, attrs: attributes, times: at, values: value})
	s.latency.add(time.Duration(now.UnixNano() - int64(at)))
	return nil
}

// item counts a span or a log record.
func (s *otlpSink) item(item []byte, timeField, attributeField int, now time.Time) error {
	d := otlpDigest{items: 1}
	err := wireFields(item, func(number, _ int, _ []byte, v uint64) error {
		if number == timeField {
			d.times = v
		} else if number == attributeField {
			d.attrs++
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.arrived.add(d)
	s.latency.add(time.Duration(now.UnixNano() - int64(d.times)))
	return nil
}

// series counts the samples of a remote write series; target_info and its like are not among them.
func (s *otlpSink) series(series []byte, now time.Time) error {
	isOwn := false
	return wireFields(series, func(number, _ int, part []byte, _ uint64) error {
		switch number {
		case 1:
			key, value, ok := label(part)
			if !ok {
				return errProto
			}
			isOwn = isOwn || string(key) == "__name__" && isReport(value)
		case 2:
			if isOwn {
				return nil
			}
			d := otlpDigest{items: 1}
			at := uint64(0)
			if err := wireFields(part, func(number, _ int, _ []byte, v uint64) error {
				if number == 1 {
					d.values = v
				} else {
					at = v
				}
				return nil
			}); err != nil {
				return err
			}
			s.samples++
			s.arrived.add(d)
			s.latency.add(time.Duration(now.UnixMilli()-int64(at)) * time.Millisecond)
		}
		return nil
	})
}

func eachField(raw []byte, wanted int, each func([]byte) error) error {
	return wireFields(raw, func(number, wire int, part []byte, _ uint64) error {
		if number != wanted || wire != 2 {
			return nil
		}
		return each(part)
	})
}

// wireFields walks a message of any wire types and gives each field's bytes or number.
func wireFields(raw []byte, each func(number, wire int, part []byte, value uint64) error) error {
	for i := 0; i < len(raw); {
		tag, n := uvarint(raw[i:])
		if n <= 0 {
			return errProto
		}
		i += n
		var part []byte
		var value uint64
		wire := int(tag & 7)
		switch wire {
		case 0:
			v, m := uvarint(raw[i:])
			if m <= 0 {
				return errProto
			}
			value = v
			i += m
		case 1:
			if i+8 > len(raw) {
				return errProto
			}
			value = binary.LittleEndian.Uint64(raw[i:])
			i += 8
		case 2:
			length, m := uvarint(raw[i:])
			if m <= 0 || length > uint64(len(raw)-i-m) {
				return errProto
			}
			part = raw[i+m : i+m+int(length)]
			i += m + int(length)
		case 5:
			if i+4 > len(raw) {
				return errProto
			}
			value = uint64(binary.LittleEndian.Uint32(raw[i:]))
			i += 4
		default:
			return errProto
		}
		if err := each(int(tag>>3), wire, part, value); err != nil {
			return err
		}
	}
	return nil
}
