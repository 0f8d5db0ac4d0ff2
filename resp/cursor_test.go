package resp

import (
	"fmt"
	"math"
	"strconv"
	"testing"
)

func TestCursorsAreBounded(t *testing.T) {
	var c cursors
	c.init()
	var first, last uint64
	for i := range 3 * cursorsMax {
		last = c.save(Position{Slot: 7, After: fmt.Appendf(nil, "key%d", i)})
		if i == 0 {
			first = last
		}
	}
	if len(c.byCursor) != cursorsMax || c.order.Len() != cursorsMax {
		t.Errorf("%d cursors are kept", len(c.byCursor))
	}
	if at, ok := c.known(last); !ok || at.Slot != 7 || string(at.After) != fmt.Sprintf("key%d", 3*cursorsMax-1) {
		t.Errorf("the last is %+v", at)
	}
	if at, ok := c.known(first); ok {
		t.Errorf("the first is %+v", at)
	}
	for range 4 {
		c.save(Position{Slot: 1, After: make([]byte, cursorBytesMax/2)})
	}
	if c.bytes > cursorBytesMax {
		t.Errorf("%d bytes are kept", c.bytes)
	}
	if c.save(Position{}) == 0 {
		t.Error("a cursor must not say that all is done")
	}
}

// TestScanOfOneSlotAnywhere: every call of a SCAN may go to another node, or to
// one that has restarted, also inside a slot of many keys, some of which are
// deleted as they are found. Cursors are numbers that fit a signed integer.
func TestScanOfOneSlotAnywhere(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		c := newFake(t, nodes, Options{})
		const keys = 3 * scanSlotMax
		for i := range keys {
			n := c.nodes[0]
			n.do(n.client(), words(fmt.Sprintf("SET {tag}%d v", i)))
		}
		seen, cursor, calls := map[string]int{}, "0", 0
		for ; calls == 0 || cursor != "0"; calls++ {
			if calls > 50 {
				t.Fatalf("the scan does not end; %d keys seen", len(seen))
			}
			n := c.nodes[calls%nodes]
			n.server.cursors.init() // it has restarted
			reply := bulks(n.do(n.client(), words("SCAN "+cursor+" COUNT 10")))
			cursor = reply[0]
			if at, err := strconv.ParseUint(cursor, 10, 64); err != nil || at > math.MaxInt64 {
				t.Fatal(cursor)
			}
			for i, k := range reply[1:] {
				if seen[k]++; i%3 == 0 {
					n.do(n.client(), words("DEL "+k))
				}
			}
		}
		if len(seen) != keys {
			t.Errorf("%d of %d keys were seen in %d calls", len(seen), keys, calls)
		}
		for k, times := range seen {
			if times > 1 {
				t.Fatalf("%s came %d times", k, times)
			}
		}
	}
}

// TestScanCursorOfNothing: a cursor whose place is gone, or that nobody gave
// out, begins its slot again.
func TestScanCursorOfNothing(t *testing.T) {
	n := newFake(t, 1, Options{}).nodes[0]
	n.do(n.client(), words("SET k v"))
	slot := uint64(7629) // of k
	for _, cursor := range []uint64{slot<<cursorHashBits | 12345, slot << cursorHashBits, (slot-1)<<cursorHashBits | 1} {
		if got := bulks(n.do(n.client(), words(fmt.Sprintf("SCAN %d", cursor)))); len(got) != 2 || got[1] != "k" {
			t.Errorf("%d: %q", cursor, got)
		}
	}
	for _, cursor := range []uint64{(slot + 1) << cursorHashBits, math.MaxUint64, math.MaxInt64, slots << cursorHashBits} {
		if got := bulks(n.do(n.client(), words(fmt.Sprintf("SCAN %d", cursor)))); len(got) != 1 || got[0] != "0" {
			t.Errorf("%d: %q", cursor, got)
		}
	}
}
