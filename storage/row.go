package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Rows are told apart by their first byte:
//
//	'c' slot(2, big endian) key' field → a cell
//	'f' slot(2, big endian)            → the slot's floor (8, big endian)
//	'i'                                → the identity of the directory, one row
//	'j', 'l'                           → see row_leaves.go
//	'm' name                           → a named setting (PutMeta)
//
// where key' is the key with each 0x00 written as 0x00 0xff, closed by
// 0x00 0x01. So rows sort by slot, then key, then field, a key's cells are
// neighbours, and no key's row is a prefix of another key's.
const (
	kindCell     = 'c'
	kindFloor    = 'f'
	kindIdentity = 'i'
	kindMeta     = 'm'
)

const (
	escape     = 0x00
	escaped00  = 0xff
	terminator = 0x01

	rowHeader = 3 // kind and slot
)

// ErrBadRow: bytes that are not the row of a cell.
var ErrBadRow = errors.New("not a cell's row")

// AppendRow appends the row of the cell (key, field) in slot to dst. With an
// empty field it is also the lower bound of all rows of that key.
func AppendRow(dst []byte, slot uint16, key, field []byte) []byte {
	dst = append(dst, kindCell, byte(slot>>8), byte(slot))
	for {
		i := bytes.IndexByte(key, escape)
		if i < 0 {
			break
		}
		dst = append(append(dst, key[:i]...), escape, escaped00)
		key = key[i+1:]
	}
	dst = append(append(dst, key...), escape, terminator)
	return append(dst, field...)
}

// RowSlotStart appends the lower bound of the cells of slot to dst; with slot+1
// it is their upper bound.
func RowSlotStart(dst []byte, slot uint16) []byte {
	return append(dst, kindCell, byte(slot>>8), byte(slot))
}

// ParseRow splits a cell's row. Key and field alias row where they can (a key
// that holds 0x00 is a copy). It accepts exactly what AppendRow writes, else it
// answers ErrBadRow.
func ParseRow(row []byte) (slot uint16, key, field []byte, err error) {
	if len(row) < rowHeader || row[0] != kindCell {
		return 0, nil, nil, fmt.Errorf("%w: %d bytes", ErrBadRow, len(row))
	}
	slot = binary.BigEndian.Uint16(row[1:])
	rest := row[rowHeader:]
	for {
		i := bytes.IndexByte(rest, escape)
		if i < 0 || i+1 == len(rest) {
			return 0, nil, nil, fmt.Errorf("%w: the key does not end", ErrBadRow)
		}
		switch rest[i+1] {
		case terminator:
			if key == nil {
				key = rest[:i:i]
			} else {
				key = append(key, rest[:i]...)
			}
			return slot, key, rest[i+2:], nil
		case escaped00:
			key = append(append(key, rest[:i]...), escape)
			rest = rest[i+2:]
		default:
			return 0, nil, nil, fmt.Errorf("%w: 0x00 0x%02x inside the key", ErrBadRow, rest[i+1])
		}
	}
}

// floorRow is the row of slot's floor.
func floorRow(slot uint16) [rowHeader]byte {
	return [rowHeader]byte{kindFloor, byte(slot >> 8), byte(slot)}
}
