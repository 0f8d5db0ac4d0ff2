package peer

import "math"

// call is a request that waits for its reply.
type call struct {
	id       uint64 // of the last user of the slot; its low slotBits are the slot
	done     func(Reply)
	sent     int64  // when; this and deadline in ns since Peers.epoch
	deadline int64  // when it is given up
	pos      uint64 // where in the connection's stream its frame begins
	kind     uint8
}

// slotBits bounds the requests in flight on a connection.
const slotBits = 20

// calls are the requests in flight on one connection: a table that is indexed
// by the low bits of the request's id, while its high bits count the uses of
// the slot, so a late reply finds another id there and is ignored. Whoever
// takes a call out of the table calls done; so it is called once. The
// connection's mutex guards it.
type calls struct {
	slots    []call // done == nil: free
	free     []uint32
	n        int
	earliest int64 // no call's deadline is before it
}

// add stores c and returns its id.
func (t *calls) add(c call) uint64 {
	var slot uint32
	if k := len(t.free); k > 0 {
		slot = t.free[k-1]
		t.free = t.free[:k-1]
	} else {
		slot = uint32(len(t.slots))
		t.slots = append(t.slots, call{id: uint64(slot)})
	}
	if t.n == 0 || c.deadline < t.earliest {
		t.earliest = c.deadline
	}
	t.n++
	at := &t.slots[slot]
	c.id = at.id + 1<<slotBits // 44 bits of uses: never the same id twice
	*at = c
	return c.id
}

// take removes and returns the call that id names, if it is still in flight.
func (t *calls) take(id uint64) (call, bool) {
	slot := id & (1<<slotBits - 1)
	if slot >= uint64(len(t.slots)) {
		return call{}, false
	}
	c := t.slots[slot]
	if c.done == nil || c.id != id {
		return call{}, false
	}
	t.release(uint32(slot))
	return c, true
}

func (t *calls) release(slot uint32) {
	t.slots[slot].done = nil
	t.free = append(t.free, slot)
	t.n--
}

// expire moves the calls whose deadline is over to dst. It looks at all of
// them only when one may be.
func (t *calls) expire(now int64, dst []call) []call {
	if t.n == 0 || t.earliest > now {
		return dst
	}
	t.earliest = math.MaxInt64
	for i := range t.slots {
		switch c := &t.slots[i]; {
		case c.done == nil:
		case c.deadline <= now:
			dst = append(dst, *c)
			t.release(uint32(i))
		default:
			t.earliest = min(t.earliest, c.deadline)
		}
	}
	return dst
}

// takeAll empties the table.
func (t *calls) takeAll() []call {
	all := make([]call, 0, t.n)
	for i := range t.slots {
		if t.slots[i].done != nil {
			all = append(all, t.slots[i])
			t.release(uint32(i))
		}
	}
	return all
}
