package coordinator

import "math/bits"

// maxOwners is the most nodes, owners, coming ones and fallbacks, that a tally
// tells apart: the N of a cluster is far below.
const maxOwners = 64

// outcome is what a tally says of its request.
type outcome uint8

const (
	pending outcome = iota // more answers are needed, and may come
	enough                 // the quorum is there
	failed                 // it cannot be reached any more
)

func (o outcome) String() string {
	return [...]string{"pending", "enough", "failed"}[o]
}

// tally counts the answers of the nodes of one request. It is a pure value.
// Nodes are positions, 0 to maxOwners-1. Only present owners vote, and fallbacks
// once they are asked to stand in; others may be asked, and their answers change
// nothing. A node's first answer is the one that counts.
type tally struct {
	need   int    // votes needed
	must   uint64 // voters without whom no quorum is enough
	voters uint64 // nodes whose answers count, and that are worth asking
	asked  uint64
	good   uint64 // answered, and did what was asked
	bad    uint64 // answered that they did not, or never will answer
}

// newTally returns a tally of need votes among the voters.
func newTally(need int, voters uint64) tally { return tally{need: need, voters: voters} }

// bit returns the set that holds the owner at a position alone.
func bit(pos int) uint64 { return 1 << uint(pos) }

// ask notes that an owner has been asked.
func (t *tally) ask(pos int) { t.asked |= bit(pos) }

// admit gives a fallback a vote.
func (t *tally) admit(pos int) { t.voters |= bit(pos) }

// retry forgets that a node has failed: it is asked again.
func (t *tally) retry(pos int) { t.bad &^= bit(pos) }

// answer notes a node's answer and returns what the tally now says.
func (t *tally) answer(pos int, ok bool) outcome {
	b := bit(pos)
	switch {
	case (t.good|t.bad)&b != 0: // answered before
	case ok:
		t.good |= b
	default:
		t.bad |= b
	}
	return t.outcome()
}

// acks returns how many voters have done what was asked.
func (t *tally) acks() int { return bits.OnesCount64(t.good & t.voters) }

// outcome says where the request stands.
func (t *tally) outcome() outcome {
	switch {
	case t.must&t.bad != 0:
		return failed
	case t.acks() >= t.need && t.must&^t.good == 0:
		return enough
	case bits.OnesCount64(t.voters&^t.bad) < t.need:
		return failed
	}
	return pending
}

// got returns what there was in place of a quorum: the voters that answered
// well in time, or, where too few could have, those that still might have.
func (t *tally) got() int {
	if t.outcome() == failed {
		return bits.OnesCount64(t.voters &^ t.bad)
	}
	return t.acks()
}

// short returns how many more voters have to be asked so that the quorum is
// reached if all those asked answer well.
func (t *tally) short() int {
	hopeful := t.voters & (t.asked | t.good) &^ t.bad
	return max(0, t.need-bits.OnesCount64(hopeful))
}

// waiting returns the set of owners that were asked and have not answered.
func (t *tally) waiting() uint64 { return t.asked &^ (t.good | t.bad) }

// open returns the set of voters that have not been asked yet.
func (t *tally) open() uint64 { return t.voters &^ (t.asked | t.good | t.bad) }
