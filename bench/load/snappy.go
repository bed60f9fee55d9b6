package main

import (
	"encoding/binary"
	"errors"
)

var errSnappy = errors.New("malformed snappy block")

const (
	maxBlock = 256 << 20
	// Room behind a block, so that short pieces are copied 16 bytes at a time; what is too much is overwritten or cut off.
	slack = 64 + 16
)

// decodeSnappy decodes one block (not the framed format) into dst, which it grows where needed.
func decodeSnappy(dst, src []byte) ([]byte, error) {
	size, n := binary.Uvarint(src)
	if n <= 0 || size > maxBlock {
		return nil, errSnappy
	}
	end := int(size)
	if cap(dst) < end+slack {
		dst = make([]byte, end+end/4+slack)
	}
	dst = dst[:end+slack]
	d := 0
	for s := n; s < len(src); {
		tag := src[s]
		if tag&3 == 0 {
			length, from, ok := literal(src, s)
			if !ok || length > end-d {
				return nil, errSnappy
			}
			if length <= 16 && len(src)-from >= 16 {
				*(*[16]byte)(dst[d:]) = *(*[16]byte)(src[from:])
			} else {
				copy(dst[d:], src[from:from+length])
			}
			d += length
			s = from + length
			continue
		}
		var length, offset int
		switch tag & 3 {
		case 1:
			if s+2 > len(src) {
				return nil, errSnappy
			}
			length, offset = 4+int(tag>>2&7), int(tag>>5)<<8|int(src[s+1])
			s += 2
		case 2:
			if s+3 > len(src) {
				return nil, errSnappy
			}
			length, offset = 1+int(tag>>2), int(binary.LittleEndian.Uint16(src[s+1:]))
			s += 3
		default:
			if s+5 > len(src) {
				return nil, errSnappy
			}
			length, offset = 1+int(tag>>2), int(binary.LittleEndian.Uint32(src[s+1:]))
			s += 5
		}
		if offset == 0 || offset > d || length > end-d {
			return nil, errSnappy
		}
		copyBack(dst, d, offset, length)
		d += length
	}
	if d != end {
		return nil, errSnappy
	}
	return dst[:end], nil
}

// literal gives the length of the literal whose tag is at s, and where its bytes begin.
func literal(src []byte, s int) (length, from int, ok bool) {
	length = int(src[s] >> 2)
	s++
	if extra := length - 59; extra > 0 {
		if s+extra > len(src) {
			return 0, 0, false
		}
		length = 0
		for i := extra - 1; i >= 0; i-- {
			length = length<<8 | int(src[s+i])
		}
		s += extra
	}
	length++
	return length, s, length <= len(src)-s
}

// copyBack repeats the length bytes that begin offset before d, at most 64; they may overlap what is being written.
func copyBack(dst []byte, d, offset, length int) {
	switch {
	case offset >= 16:
		for i := d; i < d+length; i += 16 {
			*(*[16]byte)(dst[i:]) = *(*[16]byte)(dst[i-offset:])
		}
	case offset >= 8:
		for i := d; i < d+length; i += 8 {
			*(*[8]byte)(dst[i:]) = *(*[8]byte)(dst[i-offset:])
		}
	default:
		for i := d; i < d+length; i++ {
			dst[i] = dst[i-offset]
		}
	}
}
