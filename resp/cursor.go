package resp

import (
	"container/list"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// Limits of what a node remembers for SCAN.
const (
	cursorsMax     = 4096
	cursorBytesMax = 16 << 20
)

// A cursor that a client holds means the same at every node, and after a
// restart. It fits a signed integer:
//
//	bits 48..61  the slot
//	bits  0..47  0: from the slot's start; else the hash of the position in it
//
// and 0 is both the start and the end. The node that gave a cursor remembers
// its position; any other looks through the slot for what has that hash. Where
// that is gone it means the start of the slot: keys may come again, but none is
// missed.
const (
	cursorHashBits = 48
	cursorHashes   = 1<<cursorHashBits - 1
)

// cursorHash returns the hash of a position in a slot. It is never 0.
func cursorHash(after []byte) uint64 { return max(xxhash.Sum64(after)&cursorHashes, 1) }

// cursorOf returns the cursor of a position. It is never 0.
func cursorOf(at Position) uint64 {
	slot := uint64(at.Slot) << cursorHashBits
	if len(at.After) == 0 && slot != 0 {
		return slot
	}
	return slot | cursorHash(at.After)
}

// seek returns where a cursor points; ok is false for one that no node gave
// out.
func (b *batch) seek(cursor uint64) (at Position, ok bool, err error) {
	slot, hash := cursor>>cursorHashBits, cursor&cursorHashes
	if slot >= slots {
		return Position{}, false, nil
	}
	at.Slot = uint16(slot)
	if hash == 0 || hash == cursorHash(nil) {
		return at, true, nil
	}
	if at, ok := b.s.cursors.known(cursor); ok {
		return at, true, nil
	}
	at.After, err = b.s.opts.Cluster.Seek(b.ctx, at.Slot, func(after []byte) bool { return cursorHash(after) == hash })
	return at, true, err
}

// cursors is where SCANs stopped inside a slot, the least recently used
// forgotten first.
type cursors struct {
	mu       sync.Mutex
	byCursor map[uint64]*list.Element
	order    *list.List // of *savedCursor, the latest first
	bytes    int
}

type savedCursor struct {
	cursor uint64
	at     Position
}

func (c *cursors) init() {
	c.byCursor, c.order, c.bytes = make(map[uint64]*list.Element), list.New(), 0
}

// known returns the position that a cursor is remembered for.
func (c *cursors) known(cursor uint64) (at Position, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byCursor[cursor]
	if e == nil {
		return at, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*savedCursor).at, true
}

// save returns the cursor of a position, which it remembers.
func (c *cursors) save(at Position) uint64 {
	cursor := cursorOf(at)
	if len(at.After) == 0 {
		return cursor
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byCursor[cursor]; e != nil {
		c.remove(e)
	}
	c.byCursor[cursor] = c.order.PushFront(&savedCursor{cursor, at})
	c.bytes += len(at.After)
	for c.order.Len() > cursorsMax || c.bytes > cursorBytesMax && c.order.Len() > 1 {
		c.remove(c.order.Back())
	}
	return cursor
}

// remove forgets a cursor. c.mu is held.
func (c *cursors) remove(e *list.Element) {
	old := c.order.Remove(e).(*savedCursor)
	delete(c.byCursor, old.cursor)
	c.bytes -= len(old.at.After)
}
