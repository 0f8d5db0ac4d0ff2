package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/ring/gossip"
	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// Cells are cells by their keys.
type Cells map[string]*version.Cell

// Contents is what the disk of a stopped node holds.
type Contents struct {
	Cells   Cells            // the node's own, strays among them
	Hints   map[string]Cells // what it keeps for others, by owner
	History *ring.History
	Wrong   []string // leaves that are not what the cells make them
}

// has reports whether the disk holds anything of a key.
func (c *Contents) has(key string) bool {
	for _, cells := range c.Hints {
		if cells[key] != nil {
			return true
		}
	}
	return c.Cells[key] != nil
}

// Holdings is what the disks of all nodes hold.
type Holdings map[string]*Contents

// ReadDisks reads the disks of all nodes of a cluster, which must have stopped.
func ReadDisks(c *Cluster) (Holdings, error) {
	all := make(Holdings)
	for _, name := range c.Names() {
		if c.Node(name).Running() {
			return nil, fmt.Errorf("%s is running", name)
		}
		contents, err := readDisk(c.Node(name).Disk)
		if err != nil {
			return nil, fmt.Errorf("disk of %s: %w", name, err)
		}
		all[name] = contents
	}
	return all, nil
}

// readDisk reads a copy of a disk: the next to open the disk itself finds the
// mark of the clean stop.
func readDisk(d *Disk) (contents *Contents, err error) {
	s, err := storage.Open(storage.Options{Dir: dataDir, FS: d.copy(), CacheBytes: 1 << 20})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	contents = &Contents{Cells: make(Cells), Hints: make(map[string]Cells)}
	if contents.History, err = gossip.Stored(s); err != nil {
		return nil, err
	}
	first, last := storage.RowSlotStart(nil, 0), []byte{storage.AppendRow(nil, 0, nil, nil)[0] + 1}
	if err := readCells(s, first, last, contents.own); err != nil {
		return nil, err
	}
	first, last = storage.HintRows("")
	if err := readCells(s, first, last, contents.hint); err != nil {
		return nil, err
	}
	contents.Wrong, err = wrongLeaves(s)
	return contents, err
}

// wrongLeaves compares what is kept of each slot, and loaded at a start, with
// the slot's cells.
func wrongLeaves(s *storage.Store) (wrong []string, err error) {
	r := replica.New(replica.Options{Store: s})
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- r.Run(ctx) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-stopped)
	}()
	for slot := range uint16(ring.Slots) {
		if r.SlotHash(slot) == 0 && r.Slot(slot).Cells == 0 {
			continue
		}
		found, err := r.Scrub(ctx, slot)
		if err != nil {
			return nil, err
		}
		if found.LeavesWrong > 0 || found.RowsDamaged > 0 {
			wrong = append(wrong, fmt.Sprintf("slot %d: %+v", slot, found))
		}
	}
	return wrong, nil
}

// readCells reads rows, of each the name that take gives it.
func readCells(s *storage.Store, from, to []byte, take func(row []byte, cell *version.Cell) error) error {
	return s.Scan(context.Background(), from, to, 0, func(row, value []byte, err error) (bool, error) {
		var cell *version.Cell
		if err == nil {
			cell, err = version.DecodeCell(bytes.Clone(value))
		}
		if err == nil {
			err = take(row, cell)
		}
		if err != nil {
			return false, fmt.Errorf("row %q: %w", row, err)
		}
		return true, nil
	})
}

var errField = errors.New("a cell with a field, which nobody has written")

func (c *Contents) own(row []byte, cell *version.Cell) error {
	_, key, field, err := storage.ParseRow(row)
	if err == nil && len(field) > 0 {
		err = errField
	}
	c.Cells[string(key)] = cell
	return err
}

func (c *Contents) hint(row []byte, cell *version.Cell) error {
	owner, _, key, field, err := storage.ParseHintRow(row)
	if err == nil && len(field) > 0 {
		err = errField
	}
	if c.Hints[owner] == nil {
		c.Hints[owner] = make(Cells)
	}
	c.Hints[owner][string(key)] = cell
	return err
}

// Ring returns the ring that all members' histories give. It fails where they
// are not the same (law 10).
func (h Holdings) Ring() (*ring.Ring, error) {
	var history *ring.History
	var first string
	for _, node := range sortedKeys(h) {
		switch own := h[node].History; {
		case first == "":
			history, first = own, node
		case history.Digest() != own.Digest():
			return nil, fmt.Errorf("%s and %s have different histories: %d and %d events", first, node, history.Len(), own.Len())
		}
	}
	return ring.Replay(history)
}

// Merged returns all that is known of each key, hints included.
func (h Holdings) Merged() Cells {
	all := make(Cells)
	h.each(func(_, _, key string, cell *version.Cell) { all[key] = version.Merge(all[key], cell) })
	return all
}

// each visits every cell of every disk; owner is whom it is a hint for, "" of
// a node's own.
func (h Holdings) each(visit func(node, owner, key string, cell *version.Cell)) {
	for _, node := range sortedKeys(h) {
		for _, key := range sortedKeys(h[node].Cells) {
			visit(node, "", key, h[node].Cells[key])
		}
		for _, owner := range sortedKeys(h[node].Hints) {
			for _, key := range sortedKeys(h[node].Hints[owner]) {
				visit(node, owner, key, h[node].Hints[owner][key])
			}
		}
	}
}
