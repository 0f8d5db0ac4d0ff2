package resp

import (
	"errors"
	"hash/maphash"
	"sync"

	"github.com/dynaring/dynaring/coordinator"
)

// Groups of a wave: what is done together. From groupNodes on they are other
// nodes, in the order in which the batch met them.
const (
	groupRead  int32 = iota // reads that this node coordinates
	groupWrite              // writes that it coordinates
	groupHere               // reads of its own replica
	groupNodes
)

// scheduler gives units their waves: units on different keys share one, units
// on the same key keep their order. The groups of a wave run side by side, each
// in its own order, so units on one key share a wave if they are in the same
// group, or if neither writes.
//
// It is a hash table of the keys' hashes. Two keys with one hash only wait for
// each other.
type scheduler struct {
	last  int32 // wave
	seed  maphash.Seed
	slots []scheduled
	used  int
	age   uint32 // entries of another age are free
}

// scheduled is where the units of a key are.
type scheduled struct {
	hash  uint64
	age   uint32
	wave  int32
	group int32 // mixed: several, and none writes
	wrote bool
}

const mixed int32 = -1

// reset forgets all keys.
func (s *scheduler) reset() {
	s.last, s.used = 0, 0
	s.age++
	if s.age == 0 || len(s.slots) > 4*batchKeep {
		s.slots = nil
	}
}

// place returns the wave of the next unit.
func (s *scheduler) place(key []byte, group int32, writes bool) int32 {
	if s.slots == nil {
		s.slots, s.seed, s.age = make([]scheduled, 64), maphash.MakeSeed(), 1
	}
	e := s.entry(maphash.Bytes(s.seed, key))
	switch {
	case e.age != s.age:
		e.age, e.wave, e.group, e.wrote = s.age, 0, group, writes
		s.used++
	case e.group == group:
		e.wrote = e.wrote || writes
	case !e.wrote && !writes:
		e.group = mixed
	default:
		e.wave, e.group, e.wrote = e.wave+1, group, writes
	}
	s.last = max(s.last, e.wave)
	wave := e.wave
	if 2*s.used > len(s.slots) {
		s.grow()
	}
	return wave
}

// entry returns the hash's entry, or a free one with the hash set.
func (s *scheduler) entry(hash uint64) *scheduled {
	mask := uint64(len(s.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		e := &s.slots[i]
		if e.age != s.age {
			e.hash = hash
			return e
		}
		if e.hash == hash {
			return e
		}
	}
}

func (s *scheduler) grow() {
	old := s.slots
	s.slots = make([]scheduled, 2*len(old))
	for i := range old {
		if old[i].age == s.age {
			*s.entry(old[i].hash) = old[i]
		}
	}
}

// wave is the work of one wave, by group. The slices of operations are the
// batch's, filled anew for every wave.
type wave struct {
	reads   []coordinator.Read
	readOf  []int32 // their units
	writes  []coordinator.Write
	writeOf []int32
	here    []int32
	nodes   []nodeGroup
}

// nodeGroup is what one other node is asked to do.
type nodeGroup struct {
	name string
	exec coordinator.Exec
	of   []int32
}

// node returns the group of another node.
func (w *wave) node(name string) int32 {
	for i := range w.nodes {
		if w.nodes[i].name == name {
			return groupNodes + int32(i)
		}
	}
	n := len(w.nodes)
	if n < cap(w.nodes) {
		w.nodes = w.nodes[:n+1] // with its slices' room
		w.nodes[n].name = name
	} else {
		w.nodes = append(w.nodes, nodeGroup{name: name})
	}
	return groupNodes + int32(n)
}

// runWaves runs every unit.
func (b *batch) runWaves() {
	if len(b.units) == 0 {
		return
	}
	for n := int32(0); n <= b.waves.last; n++ {
		b.runWave(n)
		for range maxReroutes {
			if b.ss.forwarded || !b.reroute(n) {
				break
			}
			b.runWave(n)
		}
	}
	b.waves.reset()
	b.wave.nodes = b.wave.nodes[:0]
}

// runWave runs the units of a wave that are not done.
func (b *batch) runWave(n int32) {
	b.collect(n)
	w := &b.wave
	groups, node := 0, 0
	for i := range w.nodes {
		if len(w.nodes[i].of) > 0 {
			groups, node = groups+1, i
		}
	}
	for _, units := range [...]int{len(w.reads), len(w.writes), len(w.here)} {
		if units > 0 {
			groups++
		}
	}
	switch {
	case groups > 1:
		b.runGroups()
	case len(w.reads) > 0:
		b.readLocal()
	case len(w.writes) > 0:
		b.writeLocal()
	case len(w.here) > 0:
		b.readHere()
	case groups > 0:
		b.forward(&w.nodes[node])
	}
	b.harvest()
}

// runGroups runs a wave's groups side by side: each other node's in a
// goroutine, and this node's writes while it reads.
func (b *batch) runGroups() {
	var others sync.WaitGroup
	for i := range b.wave.nodes {
		if g := &b.wave.nodes[i]; len(g.of) > 0 {
			others.Go(func() { b.forward(g) })
		}
	}
	if len(b.wave.writes) > 0 {
		others.Go(b.writeLocal)
	}
	b.readHere()
	b.readLocal()
	others.Wait()
}

// collect sorts a wave's units into groups.
func (b *batch) collect(n int32) {
	w := &b.wave
	for i := range b.units {
		u := &b.units[i]
		if u.done || u.wave != n {
			continue
		}
		u.done = true
		switch at := int32(i); u.group {
		case groupRead:
			w.reads = append(w.reads, coordinator.Read{Key: u.key, R: b.r(u)})
			w.readOf = append(w.readOf, at)
		case groupWrite:
			w.writes = append(w.writes, coordinator.Write{})
			op := &w.writes[len(w.writes)-1]
			op.Update.Key = u.key
			op.R, op.W, op.CheckFirst = b.ss.r, b.w(u), u.class == coordinator.RMW
			op.StandIn = u.standIn
			u.row.write(b, u, op)
			w.writeOf = append(w.writeOf, at)
		case groupHere:
			w.here = append(w.here, at)
		default:
			g := &w.nodes[u.group-groupNodes]
			g.exec.Commands = append(g.exec.Commands, coordinator.Command{Slot: u.key.Slot, Class: u.class, Args: u.args})
			g.of = append(g.of, at)
		}
	}
}

// r and w return the quorum of a unit: its own, the session's, or the node's.
func (b *batch) r(u *unit) int {
	if u.opt.quorum > 0 {
		return u.opt.quorum
	}
	return b.ss.r
}

func (b *batch) w(u *unit) int {
	if u.opt.quorum > 0 {
		return u.opt.quorum
	}
	return b.ss.w
}

func (b *batch) readLocal() {
	for ops := b.wave.reads; len(ops) > 0; {
		n := min(len(ops), maxOps)
		b.s.opts.Backend.Read(b.ctx, ops[:n])
		ops = ops[n:]
	}
}

// writeLocal calls the backend with as many writes at a time as their number
// and size allow.
func (b *batch) writeLocal() {
	for ops, of := b.wave.writes, b.wave.writeOf; len(ops) > 0; {
		n, size := 0, 0
		for n < len(ops) && n < maxOps && size < maxWriteSize {
			for _, a := range b.units[of[n]].args {
				size += len(a)
			}
			n++
		}
		b.s.opts.Backend.Write(b.ctx, ops[:n])
		ops, of = ops[n:], of[n:]
	}
}

func (b *batch) readHere() {
	for _, i := range b.wave.here {
		u := &b.units[i]
		u.cell, u.err = b.s.opts.Cluster.Local(u.key)
	}
}

// forward passes a group on, a frame after the other: two frames that are under
// way at once have no order, and their commands may be on one key.
func (b *batch) forward(g *nodeGroup) {
	g.exec.Proto, g.exec.R, g.exec.W = b.proto, b.ss.r, b.ss.w
	all := g.exec.Commands
	for rest := all; len(rest) > 0; {
		n := coordinator.InOneFrame(rest)
		g.exec.Commands, rest = rest[:n], rest[n:]
		b.s.opts.Backend.Forward(b.ctx, g.name, &g.exec)
	}
	g.exec.Commands = all
}

// harvest gives the units what came of them, and empties the wave.
func (b *batch) harvest() {
	w := &b.wave
	for j, i := range w.readOf {
		u := &b.units[i]
		u.cell, u.err = w.reads[j].Cell, w.reads[j].Err
	}
	for j, i := range w.writeOf {
		u, op := &b.units[i], &w.writes[j]
		u.err, u.number, u.delta = op.Err, op.Update.Number, op.Update.Delta
	}
	for k := range w.nodes {
		g := &w.nodes[k]
		for j, i := range g.of {
			u, cmd := &b.units[i], &g.exec.Commands[j]
			u.raw, u.err = cmd.Reply, cmd.Err
			if u.err == nil && len(u.raw) == 0 {
				u.err = errEmptyReply
			}
		}
		clear(g.exec.Commands)
		g.exec.Commands, g.of = g.exec.Commands[:0], g.of[:0]
	}
	clear(w.reads)
	clear(w.writes)
	w.reads, w.readOf = w.reads[:0], w.readOf[:0]
	w.writes, w.writeOf = w.writes[:0], w.writeOf[:0]
	w.here = w.here[:0]
}

var errEmptyReply = errors.New("resp: another node's reply is empty")

// reroute finds other places for a wave's units that were certainly not
// started, because the ring had changed or this node cannot store them, and
// reports whether there are any.
func (b *batch) reroute(n int32) bool {
	any := false
	for i := range b.units {
		u := &b.units[i]
		if u.wave != n || u.err == nil || !coordinator.NotStarted(u.err) {
			continue
		}
		group, err := b.route(u)
		if err != nil {
			if errors.Is(u.err, coordinator.ErrNotOwner) {
				u.err = err
			}
			continue
		}
		u.group, u.err, u.done, any = group, nil, false, true
	}
	return any
}
