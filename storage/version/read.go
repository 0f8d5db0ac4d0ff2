package version

// Sibling is one value of a cell as a reader sees it. Value is the number, for
// a counter; Version is the version it belongs to, a dead one where increments
// survive a delete alone.
type Sibling struct {
	Version *Version
	Value   []byte
}

// Winner returns what a plain GET answers at the Unix time now, in ms: the
// version with the highest timestamp. ok is false where that one is dead, and
// no increment concurrent with its death survives it.
func (c *Cell) Winner(now int64) (s Sibling, ok bool) {
	v := c.newest()
	if v == nil {
		if c == nil {
			return Sibling{}, false
		}
		// Totals whose versions have not arrived yet: only they are known.
		alone := &Version{Flags: Tombstone}
		return alone.render(c.Totals, now)
	}
	return v.render(c.Totals, now)
}

func (c *Cell) newest() *Version {
	if c == nil || len(c.Versions) == 0 {
		return nil
	}
	best := &c.Versions[0]
	for i := 1; i < len(c.Versions); i++ {
		if c.Versions[i].newer(best) {
			best = &c.Versions[i]
		}
	}
	return best
}

// Siblings returns what DGET answers at the Unix time now, in ms: every live
// version, sorted by dot; where none is live, increments that survived alone.
func (c *Cell) Siblings(now int64) []Sibling {
	if c == nil {
		return nil
	}
	var out []Sibling
	for i := range c.Versions {
		if v := &c.Versions[i]; !v.Dead(now) {
			s, _ := v.render(c.Totals, now)
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		if s, ok := c.Winner(now); ok {
			out = append(out, s)
		}
	}
	return out
}

// render returns the version's value with the increments its writer had not
// seen; ok is false for a dead version that no increment survived.
func (v *Version) render(totals []Total, now int64) (Sibling, bool) {
	dead := v.Dead(now)
	if len(totals) == 0 {
		if dead {
			return Sibling{}, false
		}
		return Sibling{Version: v, Value: v.Value}, true
	}
	sum, more := v.unseen(totals, now)
	switch {
	case dead && !more:
		return Sibling{}, false
	case dead:
		return Sibling{Version: v, Value: formatInteger(sum)}, true
	case !more:
		return Sibling{Version: v, Value: v.Value}, true
	}
	own, ok := ParseInteger(v.Value)
	if !ok {
		return Sibling{Version: v, Value: v.Value}, true
	}
	return Sibling{Version: v, Value: formatInteger(own + sum)}, true
}
