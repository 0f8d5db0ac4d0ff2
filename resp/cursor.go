package resp

import (
	"container/list"
	"math/rand/v2"
	"sync"
)

// Limits of what a node remembers for SCAN.
const (
	cursorsMax     = 4096
	cursorBytesMax = 16 << 20
)

// cursors is where SCANs stopped inside a slot. A cursor that a client holds is
//
//	bits 48..61  the slot
//	bits  0..47  0: from the slot's start; else the name of a position in it
//
// and 0 is both the start and the end. Positions are remembered by the node
// that gave the cursor, the least recently used forgotten first: a name that
// is not known means the start of the slot, so keys may come again but none is
// missed.
type cursors struct {
	mu    sync.Mutex
	byKey map[uint64]*list.Element
	order *list.List // of *savedCursor, the latest first
	bytes int
}

type savedCursor struct {
	name uint64
	at   Position
}

const (
	cursorNameBits = 48
	cursorNames    = 1<<cursorNameBits - 1
)

func (c *cursors) init() {
	c.byKey, c.order = make(map[uint64]*list.Element), list.New()
}

// position returns where a cursor points; ok is false for one that no node
// gave out.
func (c *cursors) position(cursor uint64) (at Position, ok bool) {
	slot, name := cursor>>cursorNameBits, cursor&cursorNames
	if slot >= slots {
		return Position{}, false
	}
	at.Slot = uint16(slot)
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byKey[name]; e != nil && e.Value.(*savedCursor).at.Slot == at.Slot {
		c.order.MoveToFront(e)
		return e.Value.(*savedCursor).at, true
	}
	return at, true
}

// save returns a cursor for a position. It is never 0.
func (c *cursors) save(at Position) uint64 {
	slot := uint64(at.Slot) << cursorNameBits
	if len(at.After) == 0 && slot != 0 {
		return slot
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	name := rand.Uint64() & cursorNames
	for name == 0 || c.byKey[name] != nil {
		name = rand.Uint64() & cursorNames
	}
	c.byKey[name] = c.order.PushFront(&savedCursor{name, at})
	c.bytes += len(at.After)
	for c.order.Len() > cursorsMax || c.bytes > cursorBytesMax && c.order.Len() > 1 {
		old := c.order.Remove(c.order.Back()).(*savedCursor)
		delete(c.byKey, old.name)
		c.bytes -= len(old.at.After)
	}
	return slot | name
}
