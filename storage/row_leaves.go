package storage

import (
	"encoding/binary"
	"fmt"
)

// Rows that carry what package replica keeps about the cells of a slot, beside
// the cells ("leaves"), and the journal of its changes. They sort with their
// slots and, in a lane's journal, with their sequence numbers:
//
//	'l'                                       → that leaves are kept, and how
//	'l' slot(2, big endian)                   → the leaves of a slot
//	'j' lane(2, big endian) seq(8, big endian) → changed leaves
//
// What the values are is for package replica to know.
const (
	kindJournal = 'j'
	kindLeaves  = 'l'

	journalRow = 1 + 2 + 8
)

// IsCellRow reports whether row is one of a cell, to tell it from all others.
func IsCellRow(row []byte) bool { return len(row) > 0 && row[0] == kindCell }

// AppendLeavesMark appends the row that says that leaves are kept to dst. It
// sorts before all rows of leaves.
func AppendLeavesMark(dst []byte) []byte { return append(dst, kindLeaves) }

// AppendLeavesRow appends the row of slot's leaves to dst.
func AppendLeavesRow(dst []byte, slot uint16) []byte {
	return append(dst, kindLeaves, byte(slot>>8), byte(slot))
}

// LeavesRows returns the rows of the mark and of all leaves: [from, to).
func LeavesRows() (from, to []byte) { return []byte{kindLeaves}, []byte{kindLeaves + 1} }

// ParseLeavesRow reads a row between LeavesRows: the mark's, or a slot's.
func ParseLeavesRow(row []byte) (slot uint16, mark bool, err error) {
	switch {
	case len(row) == 1 && row[0] == kindLeaves:
		return 0, true, nil
	case len(row) == rowHeader && row[0] == kindLeaves && binary.BigEndian.Uint16(row[1:]) < Slots:
		return binary.BigEndian.Uint16(row[1:]), false, nil
	}
	return 0, false, fmt.Errorf("%w: %x as one of leaves", ErrBadRow, row)
}

// AppendJournalRow appends the row of the seq-th change of lane to dst. A
// lane's rows sort by seq; those of seqs [0, n) lie before the row of n.
func AppendJournalRow(dst []byte, lane uint16, seq uint64) []byte {
	dst = append(dst, kindJournal, byte(lane>>8), byte(lane))
	return binary.BigEndian.AppendUint64(dst, seq)
}

// JournalRows returns the rows of all lanes' journals: [from, to).
func JournalRows() (from, to []byte) { return []byte{kindJournal}, []byte{kindJournal + 1} }

// ParseJournalRow reads a row between JournalRows.
func ParseJournalRow(row []byte) (lane uint16, seq uint64, err error) {
	if len(row) != journalRow || row[0] != kindJournal {
		return 0, 0, fmt.Errorf("%w: %x as one of a journal", ErrBadRow, row)
	}
	return binary.BigEndian.Uint16(row[1:]), binary.BigEndian.Uint64(row[3:]), nil
}
