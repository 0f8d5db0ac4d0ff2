package replica

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/dynaring/dynaring/storage/version"
)

// KindApply asks for cells to be merged. The answer is empty, and comes when
// they are as durable as the mode asks of a replica.
//
//	request  flags 1 (none yet), n, n × (key, cell)
const (
	minAppliedBytes = minKeyBytes + 1
	appliedHeader   = 1 // bytes before n
)

// AppendApply appends a KindApply request to dst.
func AppendApply(dst []byte, cells []KeyedCell) []byte {
	dst = append(dst, 0)
	return appendCells(dst, cells)
}

func appendCells(dst []byte, cells []KeyedCell) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(cells)))
	for i := range cells {
		dst = appendKey(dst, &cells[i].Key)
		dst = appendBytes(dst, cells[i].Cell.Bytes())
	}
	return dst
}

// DecodeApply reads a KindApply request. The cells do not alias body.
func DecodeApply(body []byte) ([]KeyedCell, error) {
	shared := len(body) <= maxSharedFrame
	if shared {
		body = bytes.Clone(body)
	}
	r := reader{buf: body}
	r.check(r.byte() == 0)
	cells, err := r.cells(shared)
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return nil, fmt.Errorf("cells to apply: %w", err)
	}
	return cells, nil
}

// maxSharedFrame: the cells of a message up to this size share one copy of it.
// Those of a larger one get a copy each, so that no cell that stays in the
// cache keeps much more than itself in memory.
const maxSharedFrame = 4 << 10

// cells reads n and n × (key, cell). Unless the message's memory is shared,
// every item gets its own.
func (r *reader) cells(shared bool) ([]KeyedCell, error) {
	cells := make([]KeyedCell, r.count(minAppliedBytes))
	for i := range cells {
		item := *r
		if !shared {
			r.key()
			r.bytes()
			item.buf = bytes.Clone(item.buf[:len(item.buf)-len(r.buf)])
		}
		cells[i].Key = item.key()
		encoded := item.bytes()
		item.check(len(encoded) > 0)
		if shared || item.bad {
			*r = item
		}
		if r.bad {
			break
		}
		var err error
		if cells[i].Cell, err = version.DecodeCell(encoded); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	}
	return cells, nil
}
