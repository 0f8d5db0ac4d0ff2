package replica

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// LeavesPerSlot is how many leaf hashes are kept for a slot.
const LeavesPerSlot = 16

// leaves are hashes of what this replica holds as its own, for two replicas to
// find out where they differ without reading a cell. A cell belongs to one leaf
// of its slot, by its row; the leaf's hash is the exclusive or of the items of
// its cells, so a cell is added and taken away by the same cheap operation, in
// any order. Hints are not in them.
//
// A slot's lane alone writes, when the store has taken the batch with the
// cells; anybody reads. The store has them too: see journal.go.
type leaves struct {
	began time.Time // New
	slots [storage.Slots]slotCounts
	hash  [storage.Slots][LeavesPerSlot]atomic.Uint64 // apart: a write needs one of 16
	// blocks are when any of blockSlots neighbouring slots last changed, as
	// their changed is.
	blocks [storage.Slots / blockSlots]atomic.Int64
}

// blockSlots: whoever looks for changed slots passes over so many at once.
const blockSlots = 64

type slotCounts struct {
	cells   atomic.Uint32
	mortal  atomic.Uint32
	changed atomic.Int64 // Uptime, 0: not since New
	unsaved atomic.Bool  // changed since the slot's row was written
	place   int32        // the lane's own: 1 + the slot's index in changes.list, 0: none
}

// leafSums are a slot's leaves as plain values.
type leafSums struct {
	hash          [LeavesPerSlot]uint64
	cells, mortal uint32
}

// hashRow is what a row's leaf and its cell's item are made of: the same on
// every node.
func hashRow(row []byte) uint64 { return xxhash.Sum64(row) }

func leafOf(rowHash uint64) int { return int(rowHash % LeavesPerSlot) }

// hashBits is how much of a hash is kept. Two leaves that differ are taken for
// equal once in 2^48 times; each bit more is paid for with every write.
const hashBits = 48

// leafItem is what a cell adds to its leaf: nothing for an absent one.
func leafItem(rowHash uint64, c *version.Cell) uint64 {
	if c == nil {
		return 0
	}
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], rowHash)
	binary.LittleEndian.PutUint64(b[8:], c.Digest())
	return xxhash.Sum64(b[:]) >> (64 - hashBits)
}

// mortal reports whether time alone can make the cell dead.
func mortal(c *version.Cell) bool {
	if c == nil || len(c.Versions) == 0 {
		return false
	}
	for i := range c.Versions {
		if v := &c.Versions[i]; v.Flags&version.Tombstone == 0 && v.Expiry == 0 {
			return false
		}
	}
	return true
}

// count is 1 for true.
func count(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// add adds a cell that is there.
func (s *leafSums) add(row []byte, c *version.Cell) {
	h := hashRow(row)
	s.hash[leafOf(h)] ^= leafItem(h, c)
	s.cells++
	s.mortal += count(mortal(c))
}

func (l *leaves) sums(slot uint16) (sums leafSums) {
	s := &l.slots[slot]
	for i := range sums.hash {
		sums.hash[i] = l.hash[slot][i].Load()
	}
	sums.cells, sums.mortal = s.cells.Load(), s.mortal.Load()
	return sums
}

func (l *leaves) set(slot uint16, sums *leafSums) {
	s := &l.slots[slot]
	for i, h := range sums.hash {
		l.hash[slot][i].Store(h)
	}
	s.cells.Store(sums.cells)
	s.mortal.Store(sums.mortal)
}

// hashOf is 0 for no hashes but zeros.
func hashOf(hashes []uint64) uint64 {
	var room [LeavesPerSlot * 8]byte
	b, any := room[:0], uint64(0)
	for _, h := range hashes {
		b = binary.LittleEndian.AppendUint64(b, h)
		any |= h
	}
	if any == 0 {
		return 0
	}
	return xxhash.Sum64(b)
}

// SlotHash returns the hash over a slot's leaves, 0 for an empty slot.
func (r *Replica) SlotHash(slot uint16) uint64 {
	sums := r.Leaves(slot)
	return hashOf(sums[:])
}

// raise makes a at least v.
func raise(a *atomic.Int64, v int64) {
	for old := a.Load(); old < v && !a.CompareAndSwap(old, v); old = a.Load() {
	}
}

// Changed returns a time, in Uptime, since which none of the slots first to
// last has changed: a bound of what Slot says of each of them, for much less.
func (r *Replica) Changed(first, last uint16) time.Duration {
	latest := int64(0)
	for at := int(first) / blockSlots; at <= int(last%storage.Slots)/blockSlots; at++ {
		latest = max(latest, r.leaves.blocks[at].Load())
	}
	return time.Duration(latest)
}

// RangeHash returns the hash over the SlotHashes of slots first to last, both
// included: 0 if all are empty.
func (r *Replica) RangeHash(first, last uint16) uint64 {
	d := xxhash.New()
	var b [8]byte
	any := uint64(0)
	for slot := int(first); slot <= int(last); slot++ {
		h := r.SlotHash(uint16(slot))
		binary.LittleEndian.PutUint64(b[:], h)
		_, _ = d.Write(b[:]) // never fails
		any |= h
	}
	if any == 0 {
		return 0
	}
	return d.Sum64()
}

// Leaves returns a slot's leaf hashes.
func (r *Replica) Leaves(slot uint16) (hashes [LeavesPerSlot]uint64) {
	for i := range hashes {
		hashes[i] = r.leaves.hash[slot%storage.Slots][i].Load()
	}
	return hashes
}

// SlotState says what this replica holds of a slot as its own.
type SlotState struct {
	Cells   uint32
	Mortal  uint32        // of them, those that time alone can make dead: tombstones and what expires
	Changed time.Duration // Uptime at the latest change of a leaf; 0: none since New
}

// Slot returns a slot's state.
func (r *Replica) Slot(slot uint16) SlotState {
	s := &r.leaves.slots[slot%storage.Slots]
	return SlotState{Cells: s.cells.Load(), Mortal: s.mortal.Load(), Changed: time.Duration(s.changed.Load())}
}

// Cells returns how many cells this replica holds as its own, and how many of
// them time alone can make dead: tombstones and what expires.
func (r *Replica) Cells() (cells, mortal int64) {
	for i := range r.leaves.slots {
		s := &r.leaves.slots[i]
		cells += int64(s.cells.Load())
		mortal += int64(s.mortal.Load())
	}
	return cells, mortal
}

// Uptime is the time since New, by a clock that only goes forward.
func (r *Replica) Uptime() time.Duration { return time.Since(r.leaves.began) }

// changes are what a group makes of the leaves of the slots that it writes, not
// yet in force. Hashes are what they are to be changed by until resolve makes
// them absolute.
type changes struct {
	leaves *leaves
	list   []slotChange
	entry  []byte // of the journal, reused
}

type slotChange struct {
	slot uint16
	mask uint16 // the leaves that changed; the others' sums are not meant
	leafSums
}

// of returns the change of slot, begun if there is none. The pointer is good
// until the next call.
func (c *changes) of(slot uint16) *slotChange {
	s := &c.leaves.slots[slot]
	if s.place > 0 {
		return &c.list[s.place-1]
	}
	if len(c.list) < cap(c.list) {
		c.list = c.list[:len(c.list)+1] // the sums of old are not meant
	} else {
		c.list = append(c.list, slotChange{})
	}
	s.place = int32(len(c.list))
	n := &c.list[len(c.list)-1]
	n.slot, n.mask, n.cells, n.mortal = slot, 0, s.cells.Load(), s.mortal.Load()
	return n
}

// move puts one cell in another's place; nil is none.
func (c *changes) move(row []byte, slot uint16, was, now *version.Cell) {
	if !storage.IsCellRow(row) || was.Digest() == now.Digest() {
		return // the digest covers all that the sums are made of
	}
	n := c.of(slot)
	h := hashRow(row)
	leaf := leafOf(h)
	if n.mask&(1<<leaf) == 0 {
		n.mask |= 1 << leaf
		n.hash[leaf] = 0
	}
	n.hash[leaf] ^= leafItem(h, was) ^ leafItem(h, now)
	n.cells += count(now != nil) - count(was != nil)
	n.mortal += count(mortal(now)) - count(mortal(was))
}

// replace makes sums the leaves of slot, of which nothing else has changed.
func (c *changes) replace(slot uint16, sums leafSums) {
	n := c.of(slot)
	n.mask, n.leafSums = 1<<LeavesPerSlot-1, sums
	for i := range n.hash {
		n.hash[i] ^= c.leaves.hash[slot][i].Load()
	}
}

// resolve makes the changes absolute. It is a loop of its own so that the
// memory it reads, all over the slots, is waited for once and not for each cell.
func (c *changes) resolve() {
	for i := range c.list {
		n := &c.list[i]
		for mask := n.mask; mask != 0; mask &= mask - 1 {
			leaf := bits.TrailingZeros16(mask)
			n.hash[leaf] ^= c.leaves.hash[n.slot][leaf].Load()
		}
	}
}

// publish puts the changes in force.
func (c *changes) publish() {
	if len(c.list) == 0 {
		return
	}
	now := max(int64(time.Since(c.leaves.began)), 1)
	for i := range c.list {
		n := &c.list[i]
		s := &c.leaves.slots[n.slot]
		for mask := n.mask; mask != 0; mask &= mask - 1 {
			leaf := bits.TrailingZeros16(mask)
			c.leaves.hash[n.slot][leaf].Store(n.hash[leaf])
		}
		if s.cells.Load() != n.cells {
			s.cells.Store(n.cells)
		}
		if s.mortal.Load() != n.mortal {
			s.mortal.Store(n.mortal)
		}
		s.changed.Store(now)
		raise(&c.leaves.blocks[n.slot/blockSlots], now)
		if !s.unsaved.Load() {
			s.unsaved.Store(true) // last: see checkpoint
		}
	}
	c.drop()
}

// drop forgets the changes.
func (c *changes) drop() {
	for i := range c.list {
		c.leaves.slots[c.list[i].slot].place = 0
	}
	c.list = c.list[:0]
}
