package replica

import (
	"encoding/binary"
	"fmt"
)

// KindScan asks for a page of cells of a slot range.
//
//	request  flags 1 (1: without values, 2: hints, 4: strays), first slot 2, last slot 2, limit, row after
//	answer   n, n × (key, cell), row next

// ScanRequest names a page: the cells of slots First to Last, both included,
// in the order of their rows.
type ScanRequest struct {
	First, Last uint16
	After       []byte // the row that the page comes after: a Page's Next; empty: from the start
	Limit       int    // cells; at most MaxPage, which 0 means
	Stripped    bool   // without the values, under the same digests
	Of          ScanOf
}

// ScanOf says what a scan is of.
type ScanOf uint8

const (
	// ScanOwned is of the cells of slots that the replica owns.
	ScanOwned ScanOf = iota
	// ScanHints is of what the replica keeps for others, in the order of owners,
	// then rows.
	ScanHints
	// ScanStrays is of the replica's own cells in slots that it does not own: it
	// answers there too.
	ScanStrays
)

const (
	flagHints  = 2
	flagStrays = 4
)

// Page is a part of a slot range. It may be shorter than the limit (its bytes
// are bounded too) without being the last: that one has an empty Next.
type Page struct {
	Cells []KeyedCell
	Next  []byte
}

// MaxPage bounds a page's cells.
const MaxPage = 1024

// AppendScan appends a KindScan request to dst.
func AppendScan(dst []byte, s ScanRequest) []byte {
	flags := byte(0)
	if s.Stripped {
		flags = flagStripped
	}
	switch s.Of {
	case ScanHints:
		flags |= flagHints
	case ScanStrays:
		flags |= flagStrays
	}
	dst = appendRange(append(dst, flags), s.First, s.Last)
	dst = binary.AppendUvarint(dst, uint64(max(s.Limit, 0)))
	return appendBytes(dst, s.After)
}

func appendRange(dst []byte, first, last uint16) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, first)
	return binary.LittleEndian.AppendUint16(dst, last)
}

func (r *reader) slotRange() (first, last uint16) {
	first, last = r.slot(), r.slot()
	r.check(first <= last)
	return first, last
}

// DecodeScan reads a KindScan request. After aliases body.
func DecodeScan(body []byte) (s ScanRequest, err error) {
	r := reader{buf: body}
	flags := r.byte()
	s.Stripped = flags&flagStripped != 0
	switch flags &^ flagStripped {
	case 0:
	case flagHints:
		s.Of = ScanHints
	case flagStrays:
		s.Of = ScanStrays
	default:
		r.check(false)
	}
	s.First, s.Last = r.slotRange()
	limit := r.uint()
	r.check(limit <= MaxPage)
	s.Limit = int(limit)
	s.After = r.bytes()
	if err := r.end(); err != nil {
		return ScanRequest{}, fmt.Errorf("slot range to scan: %w", err)
	}
	return s, nil
}

// AppendPage appends the answer to a KindScan request to dst.
func AppendPage(dst []byte, p Page) []byte {
	return appendBytes(appendCells(dst, p.Cells), p.Next)
}

// DecodePage reads the answer to a KindScan request. It does not alias body.
func DecodePage(body []byte) (p Page, err error) {
	r := reader{buf: body}
	if p.Cells, err = r.cells(false); err == nil {
		p.Next = append(p.Next, r.bytes()...)
		err = r.end()
	}
	if err != nil {
		return Page{}, fmt.Errorf("page of a scan: %w", err)
	}
	return p, nil
}
