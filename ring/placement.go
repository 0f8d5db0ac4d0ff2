package ring

import "slices"

// layout is placement `equal` (the paper's strategy 3): who has the token of
// each of Q equal partitions. It only grows, one member at a time, and all its
// arithmetic is on integers, so that every machine gets the same.
//
// A partition's preference list is the distinct members met walking clockwise
// from its own token. So a member's replica load is N times its tokens exactly
// where no N neighbouring tokens hold a member (or, with zones enough for all
// N, a zone) twice: that is what a joiner's tokens are chosen for.
type layout struct {
	n       int
	tokens  []int16 // partition → member
	count   []int   // member → its tokens
	weights []int   // member → weight
	zones   []int   // member → zone
	nzones  int
}

// shareUnit is one token in the fixed-point numbers of shares. 2^14 tokens
// times the sum of all weights (2^20) stay below 2^63.
const shareUnit = 1 << 24

// maxMembers bounds the members of a ring; further joins are ignored.
const maxMembers = 1024

func newLayout(c Config) *layout {
	return &layout{n: c.N, tokens: make([]int16, c.Partitions)}
}

// add gives a new member its tokens.
func (l *layout) add(weight, zone int) {
	l.weights = append(l.weights, weight)
	l.zones = append(l.zones, zone)
	l.nzones = max(l.nzones, zone+1)
	l.count = append(l.count, 0)
	if len(l.weights) <= l.n {
		l.deal()
		return
	}
	l.settle(l.quotas())
}

// deal gives the tokens out in turn. It is for as many members as a list is
// long: each of them owns every slot, so that no data moves with the tokens.
func (l *layout) deal() {
	clear(l.count)
	for p := range l.tokens {
		m := p % len(l.weights)
		l.tokens[p] = int16(m)
		l.count[m]++
	}
}

// shares returns the tokens that each member should have, in shareUnits: by
// weight, but no member, and where there are zones for all N owners no zone,
// more than a list can make use of, which is every N-th token.
func (l *layout) shares() []int {
	total := len(l.tokens) * shareUnit
	if l.nzones < l.n {
		return fill(total, l.weights, total/min(l.n, len(l.weights)))
	}
	zoneWeights := make([]int, l.nzones)
	for m, z := range l.zones {
		zoneWeights[z] += l.weights[m]
	}
	zoneShares := fill(total, zoneWeights, total/l.n)
	out := make([]int, len(l.weights))
	for m, z := range l.zones {
		out[m] = zoneShares[z] * l.weights[m] / zoneWeights[z]
	}
	return out
}

// fill shares total out by weight, nobody getting more than most.
func fill(total int, weights []int, most int) []int {
	out := make([]int, len(weights))
	left, sum := total, 0
	for _, w := range weights {
		sum += w
	}
	for again := true; again; {
		again = false
		for i, w := range weights {
			if out[i] == 0 && sum > 0 && left*w/sum > most {
				out[i] = most
				left, sum, again = left-most, sum-w, true
			}
		}
	}
	for i, w := range weights {
		if out[i] == 0 && sum > 0 {
			out[i] = left * w / sum
		}
	}
	return out
}

// quotas returns how many tokens the newest member takes from each other: one
// after the other from whoever has most beyond its share, while that evens
// things out.
func (l *layout) quotas() []int {
	shares := l.shares()
	joiner := len(l.weights) - 1
	quota := make([]int, joiner)
	excess := func(m int) int { return l.count[m]*shareUnit - shares[m] }
	for {
		most := 0
		for m := range quota {
			if excess(m) > excess(most) {
				most = m
			}
		}
		if l.count[most] == 0 || excess(most)-excess(joiner) <= shareUnit {
			return quota
		}
		l.count[most]--
		l.count[joiner]++
		quota[most]++
	}
}

// What it costs that two tokens less than N apart share a member or a zone.
const (
	sameMember = 64
	sameZone   = 16 // where every list can have N zones
	nearZone   = 1  // where it cannot
)

// conflict is the cost of m's having the token p, beside the tokens around it.
func (l *layout) conflict(p int, m int16) (cost int) {
	zoneCost := nearZone
	if l.nzones >= l.n {
		zoneCost = sameZone
	}
	if l.nzones == 1 {
		zoneCost = 0
	}
	q := len(l.tokens)
	for d := 1; d < l.n && d < q; d++ {
		for _, o := range [2]int16{l.tokens[(p+d)%q], l.tokens[(p+q-d)%q]} {
			switch {
			case o == m:
				cost += sameMember
			case l.zones[o] == l.zones[m]:
				cost += zoneCost
			}
		}
	}
	return cost
}

// gain is what conflicts change by if m takes the token p.
func (l *layout) gain(p int, m int16) int { return l.conflict(p, m) - l.conflict(p, l.tokens[p]) }

// settle moves quota[m] tokens of each m to the newest member: in even steps
// around the ring, each where it fits best; then what is left of the quotas;
// then it betters the places that do not fit.
func (l *layout) settle(quota []int) {
	joiner := int16(len(l.weights) - 1)
	q, want := len(l.tokens), l.count[joiner]
	if want == 0 {
		return
	}
	from := make(map[int]int16, want) // the joiner's tokens → who had them
	take := func(p int) {
		from[p] = l.tokens[p]
		quota[l.tokens[p]]--
		l.tokens[p] = joiner
	}
	start := l.bestIn(0, q, 0, joiner, quota)
	reach := max(q/want/2, l.n)
	for k := range want {
		at := start + k*q/want
		if p := l.bestIn(at-reach, at+reach+1, at, joiner, quota); p >= 0 {
			take(p)
		}
	}
	for len(from) < want {
		take(l.bestIn(0, q, 0, joiner, quota))
	}
	for range improvements {
		if !l.improve(joiner, from) {
			return
		}
	}
}

// improvements bounds the rounds of bettering, improveReach how far a token is
// looked for, so that a join costs little even on 16384 partitions.
const (
	improvements = 4
	improveReach = 64
)

// bestIn returns the place from lo up to hi, around the ring, where the joiner
// fits best: fewest conflicts, most still to give, nearest to at. It is -1 if
// nobody there has a token to give.
func (l *layout) bestIn(lo, hi, at int, joiner int16, quota []int) int {
	q := len(l.tokens)
	hi = min(hi, lo+q)
	best, bestGain := -1, 0
	var bestQuota, bestDistance int
	for i := lo; i < hi; i++ {
		p := ((i % q) + q) % q
		m := l.tokens[p]
		if m == joiner || quota[m] == 0 {
			continue
		}
		g, distance := l.gain(p, joiner), max(i-at, at-i)
		better := best < 0 || g < bestGain
		if best >= 0 && g == bestGain {
			better = quota[m] > bestQuota || quota[m] == bestQuota && distance < bestDistance
		}
		if better {
			best, bestGain, bestQuota, bestDistance = p, g, quota[m], distance
		}
	}
	return best
}

// improve changes tokens of the joiner that are in conflict for others of the
// same giver. It reports whether it bettered anything.
func (l *layout) improve(joiner int16, from map[int]int16) (better bool) {
	q := len(l.tokens)
	for p := range q {
		if l.tokens[p] != joiner || l.conflict(p, joiner) == 0 {
			continue
		}
		giver := from[p]
		l.tokens[p] = giver
		best, bestGain := p, l.gain(p, joiner)
		for d := -min(improveReach, q/2); d < min(improveReach, q/2); d++ {
			o := (p + d + q) % q
			if l.tokens[o] != giver {
				continue
			}
			if g := l.gain(o, joiner); g < bestGain {
				best, bestGain = o, g
			}
		}
		l.tokens[best] = joiner
		if best != p {
			delete(from, p)
			from[best] = giver
			better = true
		}
	}
	return better
}

// orders calls fn for each partition, last to first, with all members in the
// order in which they are met from it, those without a token at the end. The
// slice is only valid during the call.
func (l *layout) orders(fn func(p int, order []int16)) {
	q := len(l.tokens)
	if len(l.weights) == 0 {
		for p := q - 1; p >= 0; p-- {
			fn(p, nil)
		}
		return
	}
	order := make([]int16, 0, len(l.weights))
	met := make([]bool, len(l.weights))
	meet := func(m int16) {
		if !met[m] {
			met[m] = true
			order = append(order, m)
		}
	}
	for p := 0; p < q && len(order) < len(l.weights); p++ {
		meet(l.tokens[p])
	}
	for m := range l.weights {
		meet(int16(m))
	}
	// Seen from the place before, the same order holds with that place's own
	// member moved to the front.
	for p := q - 1; p >= 0; p-- {
		m, i := l.tokens[p], 0
		for order[i] != m {
			i++
		}
		copy(order[1:], order[:i])
		order[0] = m
		fn(p, order)
	}
}

// owners appends to dst, in order, the N members (or all, where there are
// fewer) that own a slot: those first met in zones not met before, as far as
// there are zones, and then the first of the others.
func (l *layout) owners(dst, order []int16) []int16 {
	n := min(l.n, len(order))
	zones := min(n, l.nzones)
	var chosen [MaxN]int16
	picked := chosen[:0]
	for i := 0; zones > 0; i++ {
		if !slices.ContainsFunc(picked, func(o int16) bool { return l.zones[o] == l.zones[order[i]] }) {
			picked = append(picked, order[i])
			zones--
		}
	}
	for i := 0; len(picked) < n; i++ {
		if !slices.Contains(picked, order[i]) {
			picked = append(picked, order[i])
		}
	}
	for i := 0; len(dst) < n; i++ {
		if slices.Contains(picked, order[i]) {
			dst = append(dst, order[i])
		}
	}
	return dst
}
