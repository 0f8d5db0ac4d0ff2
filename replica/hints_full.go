package replica

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/dynaring/dynaring/storage"
)

// This file keeps the hints' bound, and takes up their account at the start.

// metaFull is the store's row that names the owners marked full.
const metaFull = "hints refused"

// admitHints returns the account of owner, or ErrHintsFull.
func (r *Replica) admitHints(owner string, must bool) (*hintOwner, error) {
	o := r.hints.owner(owner)
	switch {
	case o == nil:
		return nil, fmt.Errorf("%w: it keeps some for %d others", ErrHintsFull, maxHintOwners)
	case must || r.hints.limit == 0 || o.bytes.Load() < r.hints.limit:
		return o, nil
	}
	if !o.full.Swap(true) || r.hints.unsaved.Load() {
		r.push(0, work{task: mark{r: r}, ops: 1})
	}
	return nil, fmt.Errorf("%w: %d bytes", ErrHintsFull, o.bytes.Load())
}

// ClearFull says that owner has been compared in full.
func (r *Replica) ClearFull(owner string) {
	for _, o := range r.hints.all() {
		if o.name == owner && o.full.Swap(false) {
			r.push(0, work{task: mark{r: r}, ops: 1})
		}
	}
}

// mark stores which owners are marked full. One lane does so for all, so that
// the last word is what stays.
type mark struct {
	r    *Replica
	done chan<- error // nil: nobody waits
}

func (mark) slot(int) uint16 { return 0 }

func (m mark) run(g *group, _ int) error {
	g.marked = true
	return nil
}

// end leaves to the next refusal what could not be stored.
func (m mark) end(err error) {
	m.r.hints.unsaved.Store(err != nil)
	if m.done != nil {
		m.done <- err
	}
}

// marks encodes the owners that are marked full: n × bytes.
func (h *hints) marks() []byte {
	var dst []byte
	n := 0
	for _, o := range h.all() {
		if o.full.Load() {
			dst = appendBytes(dst, []byte(o.name))
			n++
		}
	}
	return append(binary.AppendUvarint(nil, uint64(n)), dst...)
}

// loadHints takes up what the store knows of hints, before there are any lanes.
func (r *Replica) loadHints() error {
	marks, err := r.store.GetMeta(metaFull)
	if err != nil {
		return err
	}
	if len(marks) > 0 {
		m := reader{buf: marks}
		for range m.count(1) {
			if o := r.hints.owner(string(m.bytes())); o != nil {
				o.full.Store(true)
			}
		}
		if err := m.end(); err != nil {
			return fmt.Errorf("row %q: %w", metaFull, err)
		}
	}
	return r.countHints()
}

// countHints takes up the account of what is kept. What cannot be read can never
// be delivered: it goes, and its owner is marked full.
func (r *Replica) countHints() error {
	b := r.store.NewBatch()
	from, to := storage.HintRows("")
	now := r.now()
	err := r.store.Scan(context.Background(), from, to, 0, func(row, value []byte, damaged error) (bool, error) {
		if err := r.countHint(row, value, damaged, now); err != nil {
			r.log.Error("a hint is given up: its owner has to be compared in full", "err", err)
			r.damage.found.Add(1)
			r.damage.hints.Add(1)
			b.Delete(row)
		}
		return true, nil
	})
	if err != nil || b.Len() == 0 {
		b.Close()
		return err
	}
	b.SetMeta(metaFull, r.hints.marks())
	c, err := r.store.Apply(b, false)
	if err != nil {
		return err
	}
	return c.Wait()
}

func (r *Replica) countHint(row, value []byte, damaged error, now int64) error {
	owner, slot, key, _, err := storage.ParseHintRow(row)
	if err != nil {
		return err
	}
	o := r.hints.owner(owner)
	if o == nil || slot >= storage.Slots {
		return fmt.Errorf("key %q in slot %d for %q: too many owners, or no such slot", key, slot, owner)
	}
	cell, err := decodeRow(row, value, damaged)
	if err != nil {
		o.full.Store(true)
		return err
	}
	o.add(slot, len(row), cell, now)
	return nil
}
