package antientropy

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

// world is a cluster in a model, as far as one cell and its collection are
// concerned: what its nodes have on disk, in memory, and on its way. Data in
// memory lives for OpLifetime, messages for MaxMessageAge, and within that they
// may be sent, lost, repeated and delivered in any order. Certificates are not
// of one moment: each member answers at its own.
type world struct {
	t      *rapid.T // nil where nothing is drawn
	fail   func(format string, args ...any)
	now    time.Duration
	ring   *ring.Ring
	nodes  []*place
	ops    []*op
	mail   []*letter
	wiped  version.Past // what any version's writer had seen
	writes int

	state *collection // of the first owner
	asked map[string][]replica.Inspected
	cells []candidate // being certified
	again bool        // for the second time

	gone int // cells collected
}

// place is one node.
type place struct {
	name    string
	actor   version.Actor
	owner   bool
	up      bool
	started time.Duration
	touched time.Duration // when a hint, or another node's cell, last came or went
	own     *version.Cell
	hints   map[string]*version.Cell
	minted  uint64
}

// op is data in a node's memory that it may send.
type op struct {
	from, to *place
	hint     string // for whom; "": the receiver's own
	cell     *version.Cell
	born     time.Duration
	drop     *drop // what is dropped when the receiver has it
}

// drop is what a handoff, or strays, drop when all receivers have it.
type drop struct {
	at      *place
	hint    string
	cell    *version.Cell
	waiting map[*place]bool
}

// letter is a message on its way; a nil cell asks to collect what has a digest.
type letter struct {
	op
	sent   time.Duration
	digest uint64
}

const (
	modelSlot = 7
	maxWrites = 12
)

func newWorld(t rapid.TB) *world {
	w := &world{fail: t.Fatalf, now: time.Hour, state: newCollection(), ring: settledRing(t, 3, "n1", "n2", "n3", "n4")}
	w.t, _ = t.(*rapid.T)
	p := w.ring.Lookup(modelSlot)
	for i, name := range slices.Concat(p.Owners, p.Fallbacks) {
		w.nodes = append(w.nodes, &place{
			name: name, actor: version.Actor{ID: uint64(i + 1)}, owner: i < len(p.Owners), up: true, hints: map[string]*version.Cell{},
		})
	}
	return w
}

func (w *world) any(label string) *place {
	return rapid.SampledFrom(w.nodes).Draw(w.t, label)
}

func (w *world) owners() []*place { return w.nodes[:3] }

// write has a node coordinate a write: what it stores at once it sends to the
// other owners from memory, and to a fallback for those that hinted names.
func (w *world) write(n *place, tombstone bool, hinted func(owner *place) bool) {
	if !n.up || w.writes >= maxWrites {
		return
	}
	w.writes++
	m := version.Mint{Actor: n.actor, Floor: n.minted, Time: version.TimestampAt(w.now.Milliseconds()), Now: w.now.Milliseconds()}
	next, delta, dot, err := n.own.Put(m, version.Write{Tombstone: tombstone, Value: []byte{byte(w.writes)}})
	if err != nil {
		w.fail("a write: %v", err)
	}
	n.own, n.minted = next, dot.Counter
	w.wiped = w.wiped.Union(delta.Versions[0].Past)
	for _, o := range w.owners() {
		if o == n {
			continue
		}
		w.ops = append(w.ops, &op{from: n, to: o, cell: delta, born: w.now})
		if hinted(o) {
			hint := &op{from: n, to: w.nodes[3], hint: o.name, cell: delta, born: w.now}
			w.ops = append(w.ops, hint)
			w.send(hint)
		}
	}
}

func (w *world) sometimes(*place) bool { return rapid.Bool().Draw(w.t, "hinted") }

// repair has a node read a cell, its own or, as a reader at R does, another's,
// to send it to an owner, or to keep it, a little later.
func (w *world) repair(n, from, to *place) {
	if n.up && from.up && from.own != nil && to.owner {
		w.ops = append(w.ops, &op{from: n, to: to, cell: from.own, born: w.now})
	}
}

// handOff has a node read a hint, or a cell that is not its own, to deliver it.
func (w *world) handOff(n *place) {
	if !n.up {
		return
	}
	for _, hint := range slices.Sorted(maps.Keys(n.hints)) {
		d := &drop{at: n, hint: hint, cell: n.hints[hint], waiting: map[*place]bool{}}
		for _, o := range w.owners() {
			if o.name == hint {
				w.deliverLater(d, n, o)
			}
		}
	}
	if !n.owner && n.own != nil {
		d := &drop{at: n, cell: n.own, waiting: map[*place]bool{}}
		for _, o := range w.owners() {
			w.deliverLater(d, n, o)
		}
	}
}

// handOffTwice has the first message be late, and the second arrive.
func (w *world) handOffTwice(n *place) {
	w.handOff(n)
	for _, o := range slices.Clone(w.ops) {
		if o.drop != nil {
			w.send(o)
			if w.send(o); len(w.mail) > 0 {
				w.deliver(w.mail[len(w.mail)-1])
			}
		}
	}
}

func (w *world) deliverLater(d *drop, n, to *place) {
	d.waiting[to] = true
	w.ops = append(w.ops, &op{from: n, to: to, cell: d.cell, born: w.now, drop: d})
}

// send puts a copy of what is in memory on its way; to the node itself, it
// stores it.
func (w *world) send(o *op) {
	switch {
	case !o.from.up || w.now-o.born > replica.OpLifetime:
		w.forget(o)
	case o.from == o.to:
		w.store(o)
	default:
		w.mail = append(w.mail, &letter{op: *o, sent: w.now})
	}
}

func (w *world) forget(o *op) { w.ops = slices.DeleteFunc(w.ops, func(x *op) bool { return x == o }) }

// deliver has a message arrive; its answer always gets back while anybody
// waits for it.
func (w *world) deliver(l *letter) {
	switch {
	case !l.to.up:
	case l.cell == nil:
		if l.to.own != nil && l.to.own.Digest() == l.digest && dead(l.to.own, w.now) {
			l.to.own = nil
			w.gone++
		}
	case w.now-l.sent <= replica.MaxMessageAge:
		w.store(&l.op)
	}
}

func dead(c *version.Cell, now time.Duration) bool { return len(c.Siblings(now.Milliseconds())) == 0 }

// store merges what arrived, and drops what its sender keeps for it.
func (w *world) store(o *op) {
	n := o.to
	if o.hint != "" {
		n.hints[o.hint] = version.Merge(n.hints[o.hint], o.cell)
		n.touched = w.now
	} else {
		n.own = version.Merge(n.own, o.cell)
	}
	d := o.drop
	if d == nil || !d.at.up || d.at.started > o.born {
		return
	}
	if delete(d.waiting, n); len(d.waiting) > 0 {
		return
	}
	switch at := d.at; {
	case d.hint != "" && at.hints[d.hint] == d.cell:
		delete(at.hints, d.hint)
		at.touched = w.now
	case d.hint == "" && at.own == d.cell:
		at.own, at.touched = nil, w.now
	}
}

// crash ends a node, and what it has in memory.
func (w *world) crash(n *place) {
	n.up = false
	w.ops = slices.DeleteFunc(w.ops, func(o *op) bool { return o.from == n })
	if n == w.nodes[0] {
		w.state, w.asked = newCollection(), nil
	}
}

func (w *world) restart(n *place) {
	if !n.up {
		n.up, n.started, n.touched = true, w.now, 0 // it forgets what it was touched by
	}
}

// inspect has a member answer to a certificate that is being made.
func (w *world) inspect(n *place) {
	if w.asked == nil || !n.up {
		return
	}
	a := replica.Inspected{
		Digest: n.own.Digest(), Dead: dead(n.own, w.now), Hinted: len(n.hints) > 0,
		Recent: w.now-n.touched < collectAfter || w.now-n.started < collectAfter,
	}
	w.asked[n.name] = []replica.Inspected{a}
	if len(w.asked) < len(w.nodes) {
		return
	}
	cert := certify(w.ring, w.cells, w.asked)
	w.asked = nil
	if !w.again {
		w.state.add(slices.Concat(cert.pick(w.cells, certain), cert.pick(w.cells, young)), w.moment())
		return
	}
	for _, c := range w.state.settle(cert, w.moment()) {
		for _, o := range w.owners() {
			w.mail = append(w.mail, &letter{op: op{from: w.nodes[0], to: o}, sent: w.now, digest: c.Digest})
		}
	}
}

func (w *world) moment() moment { return moment{up: w.now, clock: w.now.Milliseconds()} }

// collect has the first owner begin a certificate, if there is one to make.
func (w *world) collect() {
	n := w.nodes[0]
	if !n.up || w.asked != nil {
		return
	}
	if cells, ok, _ := w.state.due(w.moment()); ok {
		w.cells, w.again, w.asked = cells, true, map[string][]replica.Inspected{}
		return
	}
	if w.state.cells == 0 && n.own != nil && dead(n.own, w.now) {
		key := replica.Key{Slot: modelSlot, Key: []byte("k")}
		w.cells, w.again, w.asked = []candidate{{Key: key, Digest: n.own.Digest()}}, false, map[string][]replica.Inspected{}
	}
}

// everything is what any node holds or may yet come to hold.
func (w *world) everything() (c *version.Cell) {
	for _, n := range w.nodes {
		c = version.Merge(c, n.own)
		for _, h := range n.hints {
			c = version.Merge(c, h)
		}
	}
	for _, o := range w.ops {
		if w.now-o.born <= replica.OpLifetime {
			c = version.Merge(c, o.cell)
		}
	}
	for _, l := range w.mail {
		if l.cell != nil && w.now-l.sent <= replica.MaxMessageAge {
			c = version.Merge(c, l.cell)
		}
	}
	return c
}

// check fails if something that was replaced or deleted is there, or on its
// way, and what replaced it is not.
func (w *world) check(after string) {
	c := w.everything()
	if c == nil {
		return
	}
	for i := range c.Versions {
		if w.wiped.Contains(c.Versions[i].Dot) {
			w.fail("after %s at %v: %v is back, which was replaced", after, w.now, c.Versions[i].Dot)
		}
	}
}

// settledRing is a ring of members that have all taken over what they own.
func settledRing(t rapid.TB, n int, names ...string) *ring.Ring {
	return settledHistory(t, n, names...).ring
}

// settled is a history and its ring.
type settled struct {
	history *ring.History
	ring    *ring.Ring
}

func settledHistory(t rapid.TB, n int, names ...string) settled {
	t.Helper()
	cfg := ring.Config{Cluster: 1, N: n, Placement: ring.PlacementEqual, Partitions: 16}
	events := []ring.Event{{Kind: ring.Found, Config: &cfg}}
	for i, name := range names {
		events = append(events, ring.Event{Kind: ring.Join, Name: name, Actor: uint64(100 + i), Weight: 1})
	}
	s, err := settle(events)
	for _, name := range names {
		for _, a := range s.ring.ComingOf(name) {
			events = append(events, ring.Event{Kind: ring.Ready, Name: name, Since: a.Since, Slots: []ring.Range{a.Range}})
		}
		if err == nil {
			s, err = settle(events)
		}
	}
	if err != nil || s.ring.Changing() {
		t.Fatal(fmt.Errorf("the ring does not settle: %w", err))
	}
	return s
}

// settle numbers the events and replays them.
func settle(events []ring.Event) (settled, error) {
	for i := range events {
		events[i].ID, events[i].Time = ring.EventID(i+1), version.Timestamp(i+1)
	}
	h, err := ring.NewHistory(events...)
	if err != nil {
		return settled{}, err
	}
	r, err := ring.Replay(h)
	return settled{h, r}, err
}
