package storage

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// The value of a cell's row, and of a hint's, ends with a checksum:
//
//	value, xxhash64 of the row and the value (8, little endian)
//
// Pebble's own checksums cover blocks on the disk. This one covers what a row
// goes through from when it was handed over until it is handed back, and says
// which row it is: a value that is found under another row's key is damaged too.
const checksumBytes = 8

// sealed reports whether values of such rows have a checksum.
func sealed(row []byte) bool {
	return len(row) > 0 && (row[0] == kindCell || row[0] == kindHint)
}

func checksum(row, value []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.Write(row) // never fails
	_, _ = d.Write(value)
	return d.Sum64()
}

// unseal returns the value that is stored with row, which it aliases; a
// *DamagedRowError if it is not what was written.
func unseal(row, stored []byte) (value []byte, err error) {
	if !sealed(row) {
		return stored, nil
	}
	n := len(stored) - checksumBytes
	if n < 0 || binary.LittleEndian.Uint64(stored[n:]) != checksum(row, stored[:n]) {
		return nil, DamagedRow(row, max(n, 0), "its checksum is not that of its bytes")
	}
	return stored[:n:n], nil
}

// DamagedRowError says that a row is not what was written; all other rows are.
// It is ErrDamaged.
type DamagedRowError struct {
	Row   []byte
	Bytes int // of the value, as it is now
	why   string
}

// DamagedRow returns the error of a row of which the value, of so many bytes, is
// no cell's, for whatever reason. It copies row.
func DamagedRow(row []byte, bytes int, why string) *DamagedRowError {
	return &DamagedRowError{Row: append([]byte(nil), row...), Bytes: bytes, why: why}
}

// Error names the key, and says what becomes of it.
func (e *DamagedRowError) Error() string {
	const fate = "it is not answered from, and replaced by what the other owners hold; if it happens again look for a failing disk or memory"
	if owner, slot, key, _, err := ParseHintRow(e.Row); err == nil {
		return fmt.Sprintf("what is kept of key %.128q in slot %d for %s is damaged: %s; %s has to compare everything", key, slot, owner, e.why, owner)
	}
	if slot, key, _, err := ParseRow(e.Row); err == nil {
		return fmt.Sprintf("the copy of key %.128q in slot %d is damaged: %s; %s", key, slot, e.why, fate)
	}
	return fmt.Sprintf("row %.128q is damaged: %s", e.Row, e.why)
}

// Is makes errors.Is(err, ErrDamaged) true.
func (e *DamagedRowError) Is(target error) bool { return target == ErrDamaged }
