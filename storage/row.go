package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Rows are told apart by their first byte:
//
//	'c' slot(2, big endian) key' field → a cell, checksum (8, see checksum.go)
//	'f' slot(2, big endian)            → the slot's floor (8, big endian)
//	'h' owner' slot(2) key' field      → a cell kept for another node, checksum
//	'i'                                → the identity of the directory, one row
//	'j', 'l'                           → see row_leaves.go
//	'm' name                           → a named setting (PutMeta)
//
// where key' (owner' alike) is the key with each 0x00 written as 0x00 0xff,
// closed by 0x00 0x01. So rows sort by slot, then key, then field, a key's
// cells are neighbours, and no key's row is a prefix of another key's; hints
// sort by owner before that.
const (
	kindCell     = 'c'
	kindFloor    = 'f'
	kindHint     = 'h'
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
	return append(appendName(dst, key), field...)
}

// AppendHintRow appends the row of the cell (key, field) in slot that is kept
// for owner to dst.
func AppendHintRow(dst []byte, owner string, slot uint16, key, field []byte) []byte {
	dst = appendName(append(dst, kindHint), []byte(owner))
	dst = append(dst, byte(slot>>8), byte(slot))
	return append(appendName(dst, key), field...)
}

// appendName appends a name so that it says itself where it ends.
func appendName(dst, name []byte) []byte {
	for {
		i := bytes.IndexByte(name, escape)
		if i < 0 {
			return append(append(dst, name...), escape, terminator)
		}
		dst = append(append(dst, name[:i]...), escape, escaped00)
		name = name[i+1:]
	}
}

// RowSlotStart appends the lower bound of the cells of slot to dst; with slot+1
// it is their upper bound.
func RowSlotStart(dst []byte, slot uint16) []byte {
	return append(dst, kindCell, byte(slot>>8), byte(slot))
}

// HintRows returns the rows of all that is kept for owner, of every hint where
// owner is empty: [from, to).
func HintRows(owner string) (from, to []byte) {
	if owner == "" {
		return []byte{kindHint}, []byte{kindHint + 1}
	}
	from = appendName([]byte{kindHint}, []byte(owner))
	to = append([]byte(nil), from...)
	to[len(to)-1]++
	return from, to
}

// ParseRow splits a cell's row. Key and field alias row where they can (a key
// that holds 0x00 is a copy). It accepts exactly what AppendRow writes, else it
// answers ErrBadRow.
func ParseRow(row []byte) (slot uint16, key, field []byte, err error) {
	if len(row) < rowHeader || row[0] != kindCell {
		return 0, nil, nil, fmt.Errorf("%w: %d bytes", ErrBadRow, len(row))
	}
	slot = binary.BigEndian.Uint16(row[1:])
	key, field, err = cutName(row[rowHeader:])
	return slot, key, field, err
}

// ParseHintRow splits a hint's row as ParseRow does a cell's: it accepts
// exactly what AppendHintRow writes.
func ParseHintRow(row []byte) (owner string, slot uint16, key, field []byte, err error) {
	if len(row) == 0 || row[0] != kindHint {
		return "", 0, nil, nil, fmt.Errorf("%w: %d bytes", ErrBadRow, len(row))
	}
	name, rest, err := cutName(row[1:])
	if err == nil && len(rest) < 2 {
		err = fmt.Errorf("%w: a hint without a slot", ErrBadRow)
	}
	if err != nil {
		return "", 0, nil, nil, err
	}
	if key, field, err = cutName(rest[2:]); err != nil {
		return "", 0, nil, nil, err
	}
	return string(name), binary.BigEndian.Uint16(rest), key, field, nil
}

// cutName splits what appendName wrote from what follows it.
func cutName(row []byte) (name, rest []byte, err error) {
	for rest = row; ; {
		i := bytes.IndexByte(rest, escape)
		if i < 0 || i+1 == len(rest) {
			return nil, nil, fmt.Errorf("%w: a name does not end", ErrBadRow)
		}
		switch rest[i+1] {
		case terminator:
			if name == nil {
				name = rest[:i:i]
			} else {
				name = append(name, rest[:i]...)
			}
			return name, rest[i+2:], nil
		case escaped00:
			name = append(append(name, rest[:i]...), escape)
			rest = rest[i+2:]
		default:
			return nil, nil, fmt.Errorf("%w: 0x00 0x%02x inside a name", ErrBadRow, rest[i+1])
		}
	}
}

// floorRow is the row of slot's floor.
func floorRow(slot uint16) [rowHeader]byte {
	return [rowHeader]byte{kindFloor, byte(slot >> 8), byte(slot)}
}
