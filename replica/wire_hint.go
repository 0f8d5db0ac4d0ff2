package replica

import (
	"bytes"
	"fmt"
)

// KindHint asks for cells to be kept for an owner that could not be reached.
// The answer is empty, and comes when they are as durable as the mode asks of
// a replica.
//
//	request  flags 1 (1: beyond the bound too), bytes owner, n, n × (key, cell)
const flagMust = 1

// AppendHint appends a KindHint request to dst.
func AppendHint(dst []byte, owner string, must bool, cells []KeyedCell) []byte {
	return appendCells(appendHintHeader(dst, owner, must), cells)
}

// AppendHinted appends a KindHint request to dst that carries the cells of a
// KindApply request.
func AppendHinted(dst []byte, owner string, must bool, applied []byte) []byte {
	return append(appendHintHeader(dst, owner, must), applied[appliedHeader:]...)
}

func appendHintHeader(dst []byte, owner string, must bool) []byte {
	flags := byte(0)
	if must {
		flags = flagMust
	}
	return appendBytes(append(dst, flags), []byte(owner))
}

// DecodeHint reads a KindHint request. The cells do not alias body.
func DecodeHint(body []byte) (owner string, must bool, cells []KeyedCell, err error) {
	shared := len(body) <= maxSharedFrame
	if shared {
		body = bytes.Clone(body)
	}
	r := reader{buf: body}
	flags := r.byte()
	name := r.bytes()
	r.check(flags&^flagMust == 0 && len(name) > 0 && len(name) <= maxOwnerName)
	cells, err = r.cells(shared)
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return "", false, nil, fmt.Errorf("hints to keep: %w", err)
	}
	return string(name), flags == flagMust, cells, nil
}
