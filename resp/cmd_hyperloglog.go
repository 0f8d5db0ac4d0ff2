package resp

import (
	"errors"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/resp/hyperloglog"
	"github.com/dynaring/dynaring/storage/version"
)

const (
	errNotHyperLogLog = fault("WRONGTYPE Key is not a valid HyperLogLog string value.")
	errHyperLogLog    = fault("INVALIDOBJ Corrupted HLL object detected")
)

// pfRaiseName is the internal command that merges sketches into a key's.
const pfRaiseName = "dynaring.pfraise"

// winner returns what plain commands see of a cell: its newest version. Where
// that is a HyperLogLog, its registers are raised to those of the siblings that
// are ones too, so that elements added at the same time all count.
func winner(c *version.Cell, now int64) (version.Sibling, bool) {
	s, ok := c.Winner(now)
	if !ok || len(c.Versions) == 1 || !hyperloglog.Is(s.Value) {
		return s, ok
	}
	sketch, err := hyperloglog.Parse(s.Value)
	if err != nil {
		return s, ok
	}
	for _, sibling := range c.Siblings(now) {
		if sibling.Version == s.Version {
			continue
		}
		other, err := hyperloglog.Parse(sibling.Value)
		if err != nil {
			continue
		}
		if _, err := sketch.Merge(other); err != nil {
			return s, ok // damaged: as it is, which those who count will say
		}
	}
	s.Value = sketch.Bytes()
	return s, ok
}

// sketchOf reads a value that has to be a HyperLogLog; none is an empty one.
func sketchOf(value []byte, ok bool) (*hyperloglog.Sketch, error) {
	if !ok {
		return hyperloglog.New(), nil
	}
	s, err := hyperloglog.Parse(value)
	return s, sketchFault(err)
}

func sketchFault(err error) error {
	switch {
	case errors.Is(err, hyperloglog.ErrNotSketch):
		return errNotHyperLogLog
	case errors.Is(err, hyperloglog.ErrCorrupted):
		return errHyperLogLog
	}
	return err
}

func writePFAdd(_ *batch, u *unit, w *coordinator.Write) {
	elements := u.args[2:]
	decideSketch(u, w, func(s *hyperloglog.Sketch) (changed bool, err error) {
		for _, e := range elements {
			added, err := s.Add(e)
			if err != nil {
				return false, err
			}
			changed = changed || added
		}
		return changed, nil
	}, false)
}

// writePFRaise merges the sketches that are its arguments.
func writePFRaise(_ *batch, u *unit, w *coordinator.Write) {
	values := u.args[2:]
	decideSketch(u, w, func(s *hyperloglog.Sketch) (bool, error) {
		others := make([]*hyperloglog.Sketch, len(values))
		for i, v := range values {
			var err error
			if others[i], err = hyperloglog.Parse(v); err != nil {
				return false, err
			}
		}
		return s.Merge(others...)
	}, true)
}

// decideSketch writes a HyperLogLog anew where change changes it, where there
// was none, or always. Its expiry stays.
func decideSketch(u *unit, w *coordinator.Write, change func(*hyperloglog.Sketch) (bool, error), always bool) {
	decide(u, w, func(o *outcome, s version.Sibling, ok bool, now int64) (replica.Change, error) {
		sketch, err := sketchOf(s.Value, ok)
		if err != nil {
			return replica.Change{}, err
		}
		changed, err := change(sketch)
		if err != nil {
			return replica.Change{}, sketchFault(err)
		}
		if !changed && ok && !always {
			return replica.Change{}, nil
		}
		o.did = true
		sketch.Outdate()
		return replica.Change{Kind: replica.Put, Value: sketch.Bytes(), Expiry: keptExpiry(s, ok, now)}, nil
	})
}

// pfCount counts what one key, or several together, have seen.
func pfCount(b *batch, args [][]byte) {
	sketches, err := b.sketches(args[1:])
	if err != nil {
		b.fail(err)
		return
	}
	var n uint64
	if len(sketches) == 1 {
		n, err = sketches[0].Count()
	} else {
		var all hyperloglog.Registers
		for _, s := range sketches {
			if err == nil {
				err = all.Merge(s)
			}
		}
		n = all.Count()
	}
	if err != nil {
		b.fail(sketchFault(err))
		return
	}
	b.int(int64(n))
}

// pfMerge merges sources into a key, which may be one of them.
func pfMerge(b *batch, args [][]byte) {
	sources, err := b.sketches(args[1:])
	if err != nil {
		b.fail(err)
		return
	}
	raise := [][]byte{[]byte(pfRaiseName), args[1]}
	for _, s := range sources[1:] {
		raise = append(raise, s.Bytes())
	}
	if _, err := b.ask(raise); err != nil {
		b.fail(err)
		return
	}
	b.ok()
}

// sketches reads the HyperLogLogs of keys.
func (b *batch) sketches(keys [][]byte) ([]*hyperloglog.Sketch, error) {
	answers, err := b.ask(getEach(keys)...)
	if err != nil {
		return nil, err
	}
	out := make([]*hyperloglog.Sketch, len(answers))
	for i, a := range answers {
		if out[i], err = sketchOf(a.str, a.kind != '_'); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// getEach returns a GET of every key.
func getEach(keys [][]byte) [][][]byte {
	commands := make([][][]byte, len(keys))
	for i, k := range keys {
		commands[i] = [][]byte{[]byte("get"), k}
	}
	return commands
}
