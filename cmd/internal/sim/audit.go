package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// Holdings is what the disks of stopped nodes hold: node → key → cell.
type Holdings map[string]map[string]*version.Cell

// ReadDisks reads the disks of all nodes of a cluster, which must have stopped.
func ReadDisks(c *Cluster) (Holdings, error) {
	all := make(Holdings)
	for _, name := range c.Names() {
		if c.Node(name).Running() {
			return nil, fmt.Errorf("%s is running", name)
		}
		cells, err := readDisk(c.Node(name).Disk)
		if err != nil {
			return nil, fmt.Errorf("disk of %s: %w", name, err)
		}
		all[name] = cells
	}
	return all, nil
}

func readDisk(d *Disk) (cells map[string]*version.Cell, err error) {
	s, err := storage.Open(storage.Options{Dir: dataDir, FS: d.FS(), CacheBytes: 1 << 20})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	cells = make(map[string]*version.Cell)
	err = s.Scan(context.Background(), storage.RowSlotStart(nil, 0), []byte{storage.AppendRow(nil, 0, nil, nil)[0] + 1}, 0,
		func(row, value []byte) (bool, error) {
			_, key, field, err := storage.ParseRow(row)
			if err != nil || len(field) > 0 {
				return false, fmt.Errorf("row %q: unexpected: %w", row, err)
			}
			cell, err := version.DecodeCell(bytes.Clone(value))
			if err != nil {
				return false, fmt.Errorf("row %q: %w", row, err)
			}
			cells[string(key)] = cell
			return true, nil
		})
	return cells, err
}

// Audit returns what in the disks breaks the laws, given what clients did.
func Audit(rules Rules, disks Holdings, ops []*Op) []string {
	c := checker{Rules: rules}
	keys := byKey(ops)
	merged := make(map[string]*version.Cell)
	for _, node := range sortedKeys(disks) {
		for key, cell := range disks[node] {
			c.same(key, merged[key], cell)
			merged[key] = version.Merge(merged[key], cell)
		}
	}
	for _, key := range sortedKeys(keys) {
		c.kept(merged[key], (&checker{}).siblings(keys[key]), mixed(keys[key]))
		c.honest(merged[key], keys[key])
	}
	return c.broken
}

// same: a dot is the name of one write, so that whatever has it is the same.
func (c *checker) same(key string, a, b *version.Cell) {
	if a == nil || b == nil {
		return
	}
	for i := range b.Versions {
		v := &b.Versions[i]
		for j := range a.Versions {
			w := &a.Versions[j]
			if v.Dot != w.Dot {
				continue
			}
			bothThere := v.Value != nil && w.Value != nil
			if v.Time != w.Time || v.Expiry != w.Expiry || v.Flags != w.Flags || !samePast(v.Past, w.Past) || bothThere && !bytes.Equal(v.Value, w.Value) {
				c.report(fmt.Sprintf("%s: dot %v names two writes: %q at %d and %q at %d", key, v.Dot, v.Value, v.Time, w.Value, w.Time))
			}
		}
	}
}

// kept: an acknowledged sibling write is there, or something that had seen it.
func (c *checker) kept(cell *version.Cell, siblings []*sibling, mixed bool) {
	seen := cell.Context().Past
	for _, s := range siblings {
		v := findDot(cell, s.dot)
		switch {
		case v == nil && (s.W <= c.Wiped || !c.Durable):
		case v == nil && !seen.Contains(s.dot):
			c.report(fmt.Sprintf("no disk holds %v, which was acknowledged, nor anything that had seen it", s.dot), s.Op)
		case v == nil && s.first == nil && !mixed: // plain writes replace without saying so
			c.report(fmt.Sprintf("%v was dropped, though nobody who had seen it has written", s.dot), s.Op)
		case v != nil && s.Kind == DPut && v.Value != nil && string(v.Value) != s.Value:
			c.report(fmt.Sprintf("%v holds %q", s.dot, v.Value), s.Op)
		case v != nil && s.Given != nil && !samePast(v.Past, s.Given.Past):
			c.report(fmt.Sprintf("%v is stored with the past %s", s.dot, dots(v.Past)), s.Op)
		}
	}
}

func findDot(cell *version.Cell, d version.Dot) *version.Version {
	if cell == nil {
		return nil
	}
	for i := range cell.Versions {
		if cell.Versions[i].Dot == d {
			return &cell.Versions[i]
		}
	}
	return nil
}

// honest: nothing is stored of what said so.
func (c *checker) honest(cell *version.Cell, ops []*Op) {
	if cell == nil {
		return
	}
	for _, o := range ops {
		if o.Outcome != Failed || o.Kind != Set && o.Kind != DPut {
			continue
		}
		for i := range cell.Versions {
			if string(cell.Versions[i].Value) == o.Value {
				c.report("a disk holds a value whose write said that nothing was stored", o)
			}
		}
	}
}
