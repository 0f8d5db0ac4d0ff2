package resp

import (
	"fmt"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
)

// plan makes a command's units, one a key, and finds each its place.
func (b *batch) plan(r *row, args [][]byte) {
	st := step{row: r, args: args, units: len(b.units), n: 1}
	if r.merge == mergeNone {
		st.err = b.unit(r, args)
	} else {
		st.n, st.err = b.split(r, args)
	}
	if st.err != nil {
		clear(b.units[st.units:])
		b.units = b.units[:st.units]
	}
	standIn := b.passed != nil && b.passed[len(b.ends)+len(b.steps)].StandIn
	for i := st.units; i < len(b.units); i++ {
		b.units[i].standIn = standIn
		b.place(&b.units[i])
	}
	b.steps = append(b.steps, st)
}

// split makes a unit of each of a command's keys: the command with that key
// and what belongs to it alone.
func (b *batch) split(r *row, args [][]byte) (n int, err error) {
	rest := args[r.first:]
	if len(rest)%r.step != 0 {
		return 0, errArity(r.name)
	}
	n = len(rest) / r.step
	all := make([][]byte, 0, n*(1+r.step))
	for ; len(rest) > 0; rest = rest[r.step:] {
		from := len(all)
		all = append(append(all, args[0]), rest[:r.step]...)
		if err := b.unit(r, all[from:len(all):len(all)]); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// unit makes one unit.
func (b *batch) unit(r *row, args [][]byte) error {
	k := args[r.first]
	if err := b.checkKey(k); err != nil {
		return err
	}
	b.units = append(b.units, unit{
		row: r, args: args, class: r.class,
		key: replica.Key{Slot: ring.Slot(k), Key: k},
	})
	if r.plan == nil {
		return nil
	}
	return r.plan(b, &b.units[len(b.units)-1])
}

func (b *batch) checkKey(k []byte) error {
	if len(k) > b.s.opts.MaxKey {
		return fault(fmt.Sprintf("ERR key of %d bytes is longer than the limit of %d bytes (--max-key)", len(k), b.s.opts.MaxKey))
	}
	return nil
}

// place decides who runs a unit and in which wave.
func (b *batch) place(u *unit) {
	u.group, u.err = b.route(u)
	if u.err != nil {
		u.done = true
		return
	}
	u.wave = b.waves.place(u.key.Key, u.group, u.class != coordinator.Reading)
}

// route returns the group of the unit's work.
func (b *batch) route(u *unit) (group int32, err error) {
	if u.local {
		return groupHere, nil
	}
	node := ""
	if !b.ss.forwarded {
		if node, err = b.s.opts.Backend.Route(u.key.Slot, u.class); err != nil {
			return 0, err
		}
	}
	switch {
	case node != "":
		return b.wave.node(node), nil
	case u.class == coordinator.Reading:
		return groupRead, nil
	}
	return groupWrite, nil
}
