package main

import (
	"encoding/binary"
	"errors"
)

var errSnappy = errors.New("malformed snappy block")

const maxBlock = 256 << 20

// decodeSnappy decodes one block (not the framed format) into dst, which it grows where needed.
func decodeSnappy(dst, src []byte) ([]byte, error) {
	size, n := binary.Uvarint(src)
	if n <= 0 || size > maxBlock {
		return nil, errSnappy
	}
	if uint64(cap(dst)) < size {
		dst = make([]byte, size, size+size/4)
	}
	dst = dst[:size]
	d := 0
	for s := n; s < len(src); {
		var length, offset int
		switch tag := src[s]; tag & 3 {
		case 0:
			length = int(tag >> 2)
			s++
			if extra := length - 59; extra > 0 {
				if s+extra > len(src) {
					return nil, errSnappy
				}
				length = 0
				for i := extra - 1; i >= 0; i-- {
					length = length<<8 | int(src[s+i])
				}
				s += extra
			}
			length++
			if length > len(src)-s || length > len(dst)-d {
				return nil, errSnappy
			}
			copy(dst[d:], src[s:s+length])
			d += length
			s += length
			continue
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
		if offset == 0 || offset > d || length > len(dst)-d {
			return nil, errSnappy
		}
		copyBack(dst, d, offset, length)
		d += length
	}
	if d != len(dst) {
		return nil, errSnappy
	}
	return dst, nil
}

// copyBack repeats bytes that end at d - offset + length, which may overlap what is being written.
func copyBack(dst []byte, d, offset, length int) {
	if offset >= length {
		copy(dst[d:d+length], dst[d-offset:])
		return
	}
	for i := d; i < d+length; i++ {
		dst[i] = dst[i-offset]
	}
}
