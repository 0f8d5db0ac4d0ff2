package sim

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

// Audit returns what on the disks breaks the laws, given what clients did and
// that the cluster had settled at the Unix time now, in ms.
func Audit(rules Rules, disks Holdings, ops []*Op, now int64) []string {
	c := checker{Rules: rules}
	c.converged(disks, now)
	merged := make(Cells)
	disks.each(func(_, _, key string, cell *version.Cell) {
		c.same(key, merged[key], cell)
		merged[key] = version.Merge(merged[key], cell)
	})
	keys := byKey(ops)
	for _, key := range sortedKeys(keys) {
		siblings := (&checker{}).siblings(keys[key])
		c.kept(merged[key], siblings, keys[key])
		c.buried(merged[key], siblings)
		c.honest(merged[key], keys[key])
	}
	return c.broken
}

// converged: every owner of a key holds the same, and nobody else anything.
// A dead cell may be about to be collected: some owners hold it, others do not
// any more.
func (c *checker) converged(disks Holdings, now int64) {
	r, err := disks.Ring()
	if err != nil {
		c.report(err.Error())
		return
	}
	merged := disks.Merged()
	for _, key := range sortedKeys(merged) {
		held, digests := disks.owners(r, key)
		delete(digests, 0)
		if len(digests) > 1 || len(held) > 1 && len(digests) == 1 && !dead(merged[key], now) {
			c.report(fmt.Sprintf("the owners of %s differ:\n    %s", key, strings.Join(disks.describe(r, key), "\n    ")))
		}
	}
	for _, node := range sortedKeys(disks) {
		for _, wrong := range disks[node].Wrong {
			c.report(fmt.Sprintf("%s keeps wrong leaves: %s", node, wrong))
		}
	}
	disks.each(func(node, owner, key string, cell *version.Cell) {
		switch p := r.Lookup(ring.Slot([]byte(key))); {
		case owner != "":
			c.report(fmt.Sprintf("%s still has a hint of %s for %s: %s", node, key, owner, describeCell(cell)))
		case p.Role(node) != ring.Owner && p.Role(node) != ring.Coming:
			c.report(fmt.Sprintf("%s has %s, of which it is no owner: %s", node, key, describeCell(cell)))
		}
	})
}

// owners returns what a key's owners hold: how many owners hold each digest (0:
// of those that hold nothing), and the digests.
func (h Holdings) owners(r *ring.Ring, key string) (held map[uint64]int, digests map[uint64]bool) {
	held, digests = make(map[uint64]int), make(map[uint64]bool)
	for _, node := range r.Lookup(ring.Slot([]byte(key))).Owners {
		digest := uint64(0)
		if cell := h[node].Cells[key]; cell != nil {
			digest = cell.Digest()
		}
		held[digest]++
		digests[digest] = true
	}
	return held, digests
}

// describe prints what every node holds of a key.
func (h Holdings) describe(r *ring.Ring, key string) (lines []string) {
	p := r.Lookup(ring.Slot([]byte(key)))
	for _, node := range sortedKeys(h) {
		if p.Role(node) == ring.Fallback && !h[node].has(key) {
			continue
		}
		line := fmt.Sprintf("%s (%v): %s", node, p.Role(node), describeCell(h[node].Cells[key]))
		for _, owner := range sortedKeys(h[node].Hints) {
			if cell := h[node].Hints[owner][key]; cell != nil {
				line += fmt.Sprintf("; for %s: %s", owner, describeCell(cell))
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// describeCell prints a cell for somebody who looks for an error.
func describeCell(cell *version.Cell) string {
	if cell == nil {
		return "nothing"
	}
	var words []string
	for i := range cell.Versions {
		v := &cell.Versions[i]
		word := fmt.Sprintf("%v past %s time %d", v.Dot, dots(v.Past), v.Time.Millis())
		if v.Flags&version.Tombstone != 0 {
			word += " tombstone"
		} else {
			word += fmt.Sprintf(" %.40q", v.Value)
		}
		if v.Expiry > 0 {
			word += fmt.Sprintf(" until %d", v.Expiry)
		}
		words = append(words, word)
	}
	if len(cell.Totals) > 0 {
		words = append(words, fmt.Sprintf("totals %v", cell.Totals))
	}
	return strings.Join(words, ", ")
}

// dead reports whether nothing of a cell is alive, so that it may be collected.
func dead(cell *version.Cell, now int64) bool { return len(cell.Siblings(now)) == 0 }

// same: a dot is the name of one write, so that whatever has it is the same.
func (c *checker) same(key string, a, b *version.Cell) {
	if a == nil || b == nil {
		return
	}
	for i := range b.Versions {
		v := &b.Versions[i]
		w := findDot(a, v.Dot)
		if w == nil {
			continue
		}
		bothThere := v.Value != nil && w.Value != nil
		if v.Time != w.Time || v.Expiry != w.Expiry || v.Flags != w.Flags || !samePast(v.Past, w.Past) || bothThere && !bytes.Equal(v.Value, w.Value) {
			c.report(fmt.Sprintf("%s: dot %v names two writes: %q at %d and %q at %d", key, v.Dot, v.Value, v.Time, w.Value, w.Time))
		}
	}
}

// kept: an acknowledged sibling write is there, or something that had seen it,
// or it was deleted and its tombstone has been collected.
func (c *checker) kept(cell *version.Cell, siblings []*sibling, ops []*Op) {
	seen, mixed := cell.Context().Past, mixed(ops)
	for _, s := range siblings {
		v := findDot(cell, s.dot)
		switch {
		case v == nil && mixed && slices.ContainsFunc(ops, func(o *Op) bool { return o.mayErase(s.Op) }):
		case v == nil && (s.W <= c.Wiped || !c.Durable || s.ends):
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

// mayErase reports whether a plain operation may have replaced what another
// one wrote, with nothing that lasts.
func (o *Op) mayErase(w *Op) bool {
	return o.Outcome != Failed && (o.Kind == Del || o.Kind == Set && o.TTL > 0) && (o.Outcome == Uncertain || o.End >= w.Start)
}

// buried: what an acknowledged write has replaced is on no disk any more.
func (c *checker) buried(cell *version.Cell, siblings []*sibling) {
	for _, s := range siblings {
		for _, w := range sortedKeys(s.gone) {
			if v := findDot(cell, s.dot); v != nil && w > c.Wiped && c.Durable {
				c.report(fmt.Sprintf("a disk still holds %v, which an acknowledged write has replaced", s.dot), s.Op, s.gone[w])
			}
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
