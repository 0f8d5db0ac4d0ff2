package antientropy

import (
	"context"
	"fmt"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

const (
	// findPage is how many cells are read at once, findCells about how many one
	// search reads, a page counting for a few.
	findPage  = 512
	findCells = 32 << 10
	pageCosts = 8
	// What was refused is looked at again after a while, doubled each time
	// until the slot changes.
	findAgain    = 4 * time.Second
	findAgainMax = 2 * time.Minute
	// findAnew is the longest that a slot is not looked at where something in
	// it will expire: clocks may be set meanwhile.
	findAnew = 10 * time.Minute
)

// finder finds dead cells in the slots whose first owner this node is. It goes
// round and round, and leaves out slots in which nothing can have died since.
type finder struct {
	self  string
	store CollectStore
	pace  Pace
	clock *version.Clock

	slots [ring.Slots]lookedAt
	at    uint16 // where the search goes on: a slot, and the row after which
	after []byte
}

// lookedAt is when a slot was last searched, and when to do so again even if
// it does not change; both in the store's uptime, 0: never.
type lookedAt struct {
	last, next time.Duration
	tries      uint8 // refusals since it changed
}

// again has a slot looked at again, in which a candidate was refused.
func (f *finder) again(slot uint16) {
	l := &f.slots[slot]
	l.plan(f.store.Uptime() + min(findAgain<<min(l.tries, 8), findAgainMax))
	l.tries = min(l.tries+1, 8)
}

// lost has those slots looked at again whose candidates came to nothing.
func (f *finder) lost(cells []candidate) {
	last := -1
	for i := range cells {
		if slot := int(cells[i].Key.Slot); slot != last { // they are in order
			f.again(uint16(slot))
			last = slot
		}
	}
}

// over reports whether what a certificate said of a slot's cells then is the
// last word no more: the slot has been searched since, and there would be a
// newer one, or has nothing in it that can be dead.
func (f *finder) over(slot uint16, then time.Duration) bool {
	return f.slots[slot].last > then || f.store.Slot(slot).Mortal == 0
}

// forget has every slot looked at anew.
func (f *finder) forget() { f.slots, f.after = [ring.Slots]lookedAt{}, nil }

// plan has the slot looked at by then, at the latest.
func (l *lookedAt) plan(then time.Duration) {
	if l.next == 0 || then < l.next {
		l.next = then
	}
}

// due reports whether there may be something new in a slot.
func (l *lookedAt) due(s replica.SlotState, now time.Duration) bool {
	if s.Mortal == 0 {
		return false
	}
	changed := l.last == 0 || s.Changed >= l.last
	quiet := s.Changed == 0 || now-s.Changed >= quietFor || now-l.last >= patience
	return changed && quiet || l.next != 0 && now >= l.next
}

// leads reports whether this node collects the slot's cells: it is the first
// of the owners, and nobody is to become one.
func leads(r *ring.Ring, slot uint16, self string) bool {
	p := r.Lookup(slot)
	return len(p.Owners) > 0 && p.Owners[0] == self && len(p.Coming) == 0
}

// find returns dead cells for one certificate, none if it found none in a
// whole turn or in as much as it reads at a time. Slots that some wait in are
// left alone: they would be found twice.
func (f *finder) find(ctx context.Context, r *ring.Ring, waiting map[uint16]int) ([]candidate, error) {
	var found []candidate
	bytes, read := 0, 0
	full := func() bool { return len(found) >= batchCells || bytes >= batchBytes || read >= findCells }
	now := f.store.Uptime()
	for range ring.Slots {
		slot := f.at
		l, goesOn := &f.slots[slot], len(f.after) > 0
		if !goesOn && (waiting[slot] > 0 || !l.due(f.store.Slot(slot), now)) || !leads(r, slot, f.self) {
			f.move()
			continue
		}
		if full() {
			return found, nil // before the slot counts as looked at
		}
		if !goesOn {
			if f.store.Slot(slot).Changed >= l.last {
				l.tries = 0
			}
			l.last, l.next = now, 0
		}
		for more := true; more; {
			if full() {
				return found, nil
			}
			page, err := f.store.Scan(ctx, replica.ScanRequest{
				First: slot, Last: slot, After: f.after, Limit: min(findPage, batchCells-len(found)), Stripped: true,
			})
			if err != nil {
				f.after = nil
				f.again(slot)
				f.lost(found)
				return nil, fmt.Errorf("looking for dead cells: %w", err)
			}
			read += pageCosts + len(page.Cells)
			dead := f.sift(page.Cells, l, now)
			found, bytes = append(found, dead...), bytes+askBytes(dead)
			f.after, more = page.Next, len(page.Next) > 0
			if err := f.pace.Wait(ctx, pageBytes(page.Cells)); err != nil {
				return nil, err
			}
		}
		f.move()
		now = f.store.Uptime()
	}
	return found, nil
}

func (f *finder) move() { f.at, f.after = (f.at+1)%ring.Slots, nil }

// sift returns the dead ones of the cells, and plans to look again when the
// next of the others dies.
func (f *finder) sift(cells []replica.KeyedCell, l *lookedAt, now time.Duration) (dead []candidate) {
	wall := f.clock.WallMillis() - replica.ClockMargin.Milliseconds()
	for i := range cells {
		c := cells[i].Cell
		if len(c.Siblings(wall)) == 0 {
			dead = append(dead, candidate{Key: cells[i].Key, Digest: c.Digest()})
			continue
		}
		if at := dies(c); at > 0 {
			in := max(time.Duration(at-wall)*time.Millisecond, time.Second)
			l.plan(now + min(in, findAnew))
		}
	}
	return dead
}

// dies returns the Unix ms at which all of the cell's versions have expired, 0
// if they do not all.
func dies(c *version.Cell) (at int64) {
	for i := range c.Versions {
		v := &c.Versions[i]
		if v.Flags&version.Tombstone != 0 {
			continue
		}
		if v.Expiry == 0 {
			return 0
		}
		at = max(at, v.Expiry)
	}
	return at
}
