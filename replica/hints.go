package replica

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// DefaultHintLimit is the bound of the hints for one owner where Options names
// none.
const DefaultHintLimit = 256 << 20

// maxHintOwners bounds the nodes that hints are kept for, and maxOwnerName
// their names: what a mad peer can make this node remember.
const (
	maxHintOwners = 256
	maxOwnerName  = 255
)

// settleTime is how long hints of a slot have to have rested for what is held
// of the slot to be sure: whatever was on its way when they did has arrived, or
// is refused.
const settleTime = MaxMessageAge + OpLifetime

// hints is the account of the cells that are kept for other nodes. The cells
// themselves are rows like any other, and written by the lanes.
type hints struct {
	limit   int64 // bytes for one owner; 0: none
	unsaved atomic.Bool
	owners  atomic.Pointer[[]*hintOwner] // those ever seen, sorted by name
	touched [storage.Slots]atomic.Int64  // by slot: the uptime when a hint last came or went

	mu sync.Mutex // owners is about to be replaced
}

// hintOwner is the account of one owner's hints. A slot's part is written by
// its lane alone.
type hintOwner struct {
	name            string
	full            atomic.Bool
	cells, bytes    atomic.Int64
	stored, dropped atomic.Uint64
	slots           [storage.Slots]hintSlot
}

// hintSlot: cells counts also the hints that a lane is about to write: a reader
// that finds 0 has none to look for.
type hintSlot struct {
	cells  atomic.Int32
	oldest atomic.Int64 // Unix ms of the oldest write since cells was 0
}

// HintStats are the numbers of what is kept for one owner. Stored and Dropped
// count cells since New.
type HintStats struct {
	Owner           string
	Cells, Bytes    int64
	Oldest          int64 // Unix ms of the oldest write among them, or older; 0: none
	Full            bool  // hints were refused since ClearFull: the owner needs a full compare
	Stored, Dropped uint64
}

func (h *hints) init(limit int64) {
	h.limit = limit
	h.owners.Store(new([]*hintOwner))
}

func (h *hints) all() []*hintOwner { return *h.owners.Load() }

// owner returns name's account, which it opens if need be: nil beyond
// maxHintOwners.
func (h *hints) owner(name string) *hintOwner {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.all()
	at, ok := slices.BinarySearchFunc(all, name, func(o *hintOwner, name string) int { return strings.Compare(o.name, name) })
	if ok {
		return all[at]
	}
	if len(all) >= maxHintOwners {
		return nil
	}
	o := &hintOwner{name: name}
	all = slices.Insert(slices.Clone(all), at, o)
	h.owners.Store(&all)
	return o
}

// touch notes that a hint of slot comes or goes.
func (h *hints) touch(slot uint16, uptime time.Duration) { h.touched[slot].Store(int64(uptime)) }

// recent reports whether one has within settleTime.
func (h *hints) recent(slot uint16, uptime time.Duration) bool {
	return uptime-time.Duration(h.touched[slot].Load()) < settleTime // never: since New
}

// appendRow appends the row of k's cell, o nil, or of its hint for o to dst.
func (o *hintOwner) appendRow(dst []byte, k *Key) []byte {
	if o == nil {
		return storage.AppendRow(dst, k.Slot, k.Key, k.Field)
	}
	return storage.AppendHintRow(dst, o.name, k.Slot, k.Key, k.Field)
}

// has reports whether there may be hints of slot.
func (o *hintOwner) has(slot uint16) bool { return o.slots[slot].cells.Load() > 0 }

// hold counts a hint of slot that is about to be written, before any reader can
// find it.
func (o *hintOwner) hold(slot uint16) { o.slots[slot].cells.Add(1) }

// settle ends hold: p is in the store, unless stored is false.
func (g *group) settle(p *pending, stored bool) {
	o, s := p.owner, &p.owner.slots[p.slot]
	if !stored {
		s.cells.Add(-1)
		return
	}
	g.r.hints.touch(p.slot, g.r.Uptime())
	switch {
	case p.cell != nil:
		o.stored.Add(1)
	case p.stored != nil:
		o.dropped.Add(1)
	}
	o.remove(p.slot, len(p.key.row), p.stored)
	o.add(p.slot, len(p.key.row), p.cell, g.now)
	if s.cells.Add(-1) == 0 {
		s.oldest.Store(0)
	}
}

// add counts a hint that is in the store, remove one that was; nil is none.
func (o *hintOwner) add(slot uint16, row int, c *version.Cell, now int64) {
	if c == nil {
		return
	}
	o.cells.Add(1)
	o.bytes.Add(int64(row + len(c.Bytes())))
	s := &o.slots[slot]
	s.cells.Add(1)
	if age, old := oldestWrite(c, now), s.oldest.Load(); old == 0 || age < old {
		s.oldest.Store(age)
	}
}

// forget takes a hint of so many bytes that cannot be read out of the account.
func (o *hintOwner) forget(slot uint16, bytes int) {
	o.cells.Add(-1)
	o.bytes.Add(-int64(bytes))
	o.dropped.Add(1)
	if s := &o.slots[slot]; s.cells.Add(-1) == 0 {
		s.oldest.Store(0)
	}
}

func (o *hintOwner) remove(slot uint16, row int, c *version.Cell) {
	if c != nil {
		o.cells.Add(-1)
		o.bytes.Add(-int64(row + len(c.Bytes())))
		o.slots[slot].cells.Add(-1)
	}
}

// oldestWrite returns the Unix time, in ms, of the cell's oldest version, or now
// for increments alone, which carry none.
func oldestWrite(c *version.Cell, now int64) int64 {
	for i := range c.Versions {
		now = min(now, c.Versions[i].Time.Millis())
	}
	return max(now, 1)
}

func (o *hintOwner) stats() HintStats {
	s := HintStats{
		Owner: o.name, Cells: o.cells.Load(), Bytes: o.bytes.Load(), Full: o.full.Load(),
		Stored: o.stored.Load(), Dropped: o.dropped.Load(),
	}
	for i := range o.slots {
		if at := o.slots[i].oldest.Load(); at != 0 && (s.Oldest == 0 || at < s.Oldest) {
			s.Oldest = at
		}
	}
	return s
}

// HintStats returns the numbers by owner, sorted by name: of those for whom
// something is kept, was since New, or was refused.
func (r *Replica) HintStats() []HintStats {
	var out []HintStats
	for _, o := range r.hints.all() {
		if s := o.stats(); s.Full || s.Cells > 0 || s.Stored > 0 {
			out = append(out, s)
		}
	}
	return out
}

// PendingHints returns for how many owners a hint of the cell is kept.
func (r *Replica) PendingHints(k Key) int {
	n := 0
	for _, o := range r.hints.all() {
		if o.has(k.Slot) {
			// What cannot be read is there.
			if hint, err := r.get(o, k); hint != nil || err != nil {
				n++
			}
		}
	}
	return n
}

// Held returns what this replica knows of the cell: its own, merged with the
// hints that it keeps of it.
func (r *Replica) Held(k Key) (*version.Cell, error) {
	cell, err := r.get(nil, k)
	for _, o := range r.hints.all() {
		if err == nil && o.has(k.Slot) {
			var hint *version.Cell
			if hint, err = r.get(o, k); isDamaged(err) {
				err = nil // it is given up, and says no more than an absent one
			}
			cell = version.Merge(cell, hint)
		}
	}
	if err != nil {
		return nil, err
	}
	return cell, nil
}

// cached is Held without the store; ok is false where something is not in the
// cache.
func (r *Replica) cached(k Key) (cell *version.Cell, ok bool, err error) {
	cell, ok = r.hit(nil, k)
	for _, o := range r.hints.all() {
		if ok && o.has(k.Slot) {
			var hint *version.Cell
			hint, ok = r.hit(o, k)
			cell = version.Merge(cell, hint)
		}
	}
	return cell, ok, nil
}
