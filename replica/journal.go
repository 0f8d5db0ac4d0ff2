package replica

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/dynaring/dynaring/storage"
)

// The leaves are kept in the store so that a start need not read every cell.
// A row of leaves a slot would cost each write a row of its own; so a lane
// appends one row to its journal with every batch, in the batch: the new values
// of all leaves that the batch changes. Now and then a checkpoint writes the
// rows of the slots that have changed, and removes what the journal says of
// them. The values in a journal are absolute: it does no harm to replay an
// entry over a row that is newer, as long as what followed it is replayed too.
//
//	leaves   hash 8 × LeavesPerSlot, cells 4, mortal 4
//	journal  entries, one for each leaf: slot | entryCounts 2, leaf 1, hash 6,
//	         and where entryCounts is set: cells, mortal
//	mark     leavesFormat 1
//
// Integers are little-endian, cells and mortal of an entry varints. Without the
// mark, which is written last, whatever else is there is void, and New builds
// the leaves by reading the cells.
const (
	leavesFormat = 1 // raised with any change of what leaves are made of
	leavesBytes  = LeavesPerSlot*8 + 4 + 4

	entryCounts = 1 << 15
	hashBytes   = hashBits / 8

	// journalLimit is how many bytes the journal may have before a checkpoint:
	// what a start replays, against 2 MB that a checkpoint writes.
	journalLimit = 16 << 20
	// checkpointBatch bounds a batch of a checkpoint: lanes wait behind it.
	checkpointBatch = 64 << 10
	// checkpointRetry is the pause after a checkpoint that the store refused.
	checkpointRetry = 10 * time.Second
)

// errLeaves: rows of leaves that are not what this program writes.
var errLeaves = errors.New("bad leaves")

// journal is what the checkpoints go by.
type journal struct {
	bytes  atomic.Int64  // journalled since the last checkpoint
	due    chan struct{} // holds a token while a checkpoint is due
	marked atomic.Bool   // the mark is in the store
}

// grow counts what a lane has journalled.
func (j *journal) grow(n int) {
	if j.bytes.Add(int64(n)) < journalLimit {
		return
	}
	select {
	case j.due <- struct{}{}:
	default:
	}
}

func appendSums(dst []byte, sums *leafSums) []byte {
	for _, h := range sums.hash {
		dst = binary.LittleEndian.AppendUint64(dst, h)
	}
	dst = binary.LittleEndian.AppendUint32(dst, sums.cells)
	return binary.LittleEndian.AppendUint32(dst, sums.mortal)
}

func decodeSums(b []byte) (sums leafSums, err error) {
	if len(b) != leavesBytes {
		return sums, fmt.Errorf("%w: %d bytes of a slot's", errLeaves, len(b))
	}
	for i := range sums.hash {
		sums.hash[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	b = b[8*LeavesPerSlot:]
	sums.cells, sums.mortal = binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	return sums, nil
}

// appendChange appends the entries of a change of s.
func appendChange(dst []byte, n *slotChange, s *slotCounts) []byte {
	counts := uint16(0)
	if n.cells != s.cells.Load() || n.mortal != s.mortal.Load() {
		counts = entryCounts
	}
	var room [8]byte
	for mask := n.mask; mask != 0; mask &= mask - 1 {
		leaf := bits.TrailingZeros16(mask)
		dst = binary.LittleEndian.AppendUint16(dst, n.slot|counts)
		dst = append(dst, byte(leaf))
		binary.LittleEndian.PutUint64(room[:], n.hash[leaf])
		dst = append(dst, room[:hashBytes]...)
		if counts != 0 {
			dst = binary.AppendUvarint(dst, uint64(n.cells))
			dst = binary.AppendUvarint(dst, uint64(n.mortal))
			counts = 0
		}
	}
	return dst
}

// leafEntry is one of a journal.
type leafEntry struct {
	slot          uint16
	leaf          int
	hash          uint64
	counts        bool
	cells, mortal uint32
}

// decodeEntries calls fn with the entries of a journal's row.
func decodeEntries(b []byte, fn func(leafEntry)) error {
	r := reader{buf: b}
	for len(r.buf) > 0 {
		slot := r.mask()
		e := leafEntry{slot: slot &^ entryCounts, counts: slot&entryCounts != 0, leaf: int(r.byte())}
		if h := r.take(hashBytes); h != nil {
			var room [8]byte
			copy(room[:], h)
			e.hash = binary.LittleEndian.Uint64(room[:])
		}
		if e.counts {
			cells, mortals := r.uint(), r.uint()
			r.check(cells < 1<<32 && mortals < 1<<32)
			e.cells, e.mortal = uint32(cells), uint32(mortals)
		}
		r.check(e.slot < storage.Slots && e.leaf < LeavesPerSlot)
		if r.bad {
			return fmt.Errorf("%w: an entry of the journal", errLeaves)
		}
		fn(e)
	}
	return nil
}

// writer is a lane's end of the journal.
type writer struct {
	lane      uint16
	next      uint64        // the sequence number of the next row
	published atomic.Uint64 // rows below it are in the leaves in memory
}

// write adds the changes to the batch with the cells.
func (w *writer) write(c *changes, b *storage.Batch) {
	if len(c.list) == 0 {
		return
	}
	c.resolve()
	c.entry = c.entry[:0]
	for i := range c.list {
		c.entry = appendChange(c.entry, &c.list[i], &c.leaves.slots[c.list[i].slot])
	}
	var room [16]byte
	b.Set(storage.AppendJournalRow(room[:0], w.lane, w.next), c.entry)
}

// stored says that the store has taken the batch.
func (w *writer) stored(c *changes, j *journal) {
	if len(c.list) == 0 {
		return
	}
	c.publish()
	w.next++
	w.published.Store(w.next)
	j.grow(len(c.entry))
}

// checkpoint writes the rows of all leaves that have changed since their rows
// were written, and removes what the journals had of them when it began. It
// goes on while lanes write: what a row has too new or too old for the journal,
// the entries that stay put right. The batches are stored in this order, so a
// crash in between leaves rows that are newer than the journal, never a journal
// that is short.
func (r *Replica) checkpoint() error {
	journalled := r.journal.bytes.Load()
	upTo := make([]uint64, len(r.lanes))
	for i, l := range r.lanes {
		upTo[i] = l.writer.published.Load()
	}
	saved, err := r.saveLeaves()
	if err == nil {
		err = r.cutJournal(upTo)
	}
	if err != nil {
		for _, slot := range saved {
			r.leaves.slots[slot].unsaved.Store(true)
		}
		return fmt.Errorf("keeping leaves: %w", err)
	}
	r.journal.marked.Store(true)
	r.journal.bytes.Add(-journalled)
	return nil
}

// saveLeaves writes the slots' rows, and returns the slots, which are no longer
// marked unsaved.
func (r *Replica) saveLeaves() (slots []uint16, err error) {
	b := r.store.NewBatch()
	if !r.journal.marked.Load() {
		b.DeleteRange(storage.LeavesRows())
	}
	var row, value []byte
	for i := range r.leaves.slots {
		s := &r.leaves.slots[i]
		if !s.unsaved.Load() && (r.journal.marked.Load() || s.cells.Load() == 0) {
			continue
		}
		s.unsaved.Store(false) // first: what changes from now on is for the next
		slots = append(slots, uint16(i))
		sums := r.leaves.sums(uint16(i))
		row, value = storage.AppendLeavesRow(row[:0], uint16(i)), appendSums(value[:0], &sums)
		b.Set(row, value)
		if b.Size() >= checkpointBatch {
			if err := settle(r.store.Apply(b, false)); err != nil {
				return slots, err
			}
			b = r.store.NewBatch()
		}
	}
	return slots, settle(r.store.Apply(b, false))
}

// cutJournal removes the journals' rows below upTo, and those of lanes that are
// no more, and says that leaves are kept.
func (r *Replica) cutJournal(upTo []uint64) error {
	b := r.store.NewBatch()
	for i, seq := range upTo {
		b.DeleteRange(storage.AppendJournalRow(nil, uint16(i), 0), storage.AppendJournalRow(nil, uint16(i), seq))
	}
	_, end := storage.JournalRows()
	b.DeleteRange(storage.AppendJournalRow(nil, uint16(len(upTo)), 0), end)
	b.Set(storage.AppendLeavesMark(nil), []byte{leavesFormat})
	return settle(r.store.Apply(b, false))
}

// settle ends a commit that need not be synced.
func settle(c storage.Commit, err error) error {
	if err == nil {
		err = c.Wait()
	}
	return err
}

// keepLeaves makes checkpoints when they are due, until ctx ends.
func (r *Replica) keepLeaves(ctx context.Context) {
	var retry <-chan time.Time
	if !r.journal.marked.Load() {
		retry = time.After(checkpointRetry)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.journal.due:
		case <-retry:
		}
		retry = nil
		if err := r.checkpoint(); err != nil {
			r.log.Warn("the journal of leaves cannot be cut", "err", err)
			retry = time.After(checkpointRetry)
		}
	}
}
