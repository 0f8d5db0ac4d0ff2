package coordinator

import (
	"errors"
	"fmt"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

var (
	// ErrLoading: the node does not know the ring yet; try again shortly.
	ErrLoading = errors.New("the node is still loading the cluster's membership, try again shortly")
	// ErrNotOwner: the write was given to a node that is not a present owner
	// of the key, by one that knows another ring. It was not started; whoever
	// passed it on tries an owner.
	ErrNotOwner = errors.New("this node is not a present owner of the key: nothing was started here")
)

// NotStarted reports whether an operation's error says that this node has
// stored nothing of it and cannot now, so that another one may run it.
func NotStarted(err error) bool {
	return errors.Is(err, ErrNotOwner) || errors.Is(err, ErrLoading) || refusedHere(err) || damagedHere(err)
}

// damagedHere reports whether an operation's error is that of a damaged row of
// the local replica. Another owner, whose row is sound, carries the operation
// out: here a write would take the cell for an absent one.
func damagedHere(err error) bool {
	if err == nil {
		return false // without allocating
	}
	var row *storage.DamagedRowError
	return errors.As(err, &row)
}

// refusedHere reports whether an operation's error is the local replica's
// refusal to store anything at all.
func refusedHere(err error) bool {
	return errors.Is(err, storage.ErrDiskFull) || errors.Is(err, storage.ErrFailed) ||
		errors.Is(err, storage.ErrClosed) || errors.Is(err, replica.ErrClosed)
}

// NoQuorumError says that fewer nodes than needed could be reached. Of a
// write, nothing was stored; of a read, fewer than Need replicas answered, or
// none that can say that there is nothing.
type NoQuorumError struct {
	Op   string // "read", "write", "check" (the read before a write), "route", "scan" or "count"
	Need int    // nodes needed
	Got  int    // nodes that could be reached, or answered
	// Unknown: of a read or a check, no owner answered, and the others keep
	// nothing of the key, which says nothing.
	Unknown bool
}

// Error says what was needed and what there was.
func (e *NoQuorumError) Error() string {
	switch {
	case e.Op == "write":
		return fmt.Sprintf("%d of the %d nodes needed for the write can be reached: nothing was stored, try again", e.Got, e.Need)
	case e.Op == "check" && e.Unknown:
		return "no owner of the key answered, and the others keep nothing of it: nothing was stored, try again"
	case e.Op == "check":
		return fmt.Sprintf("%d of the %d nodes that have to be read before the write answered: nothing was stored, try again", e.Got, e.Need)
	case e.Op == "route":
		return "no node that could run the command can be reached: nothing was started, try again"
	case e.Unknown:
		return "no owner of the key answered, and the others keep nothing of it, try again"
	}
	return fmt.Sprintf("%d of the %d nodes needed for the %s answered, try again", e.Got, e.Need, e.Op)
}

// UncertainError says that a write was stored on fewer replicas than it asked
// for. It may yet take effect, so it must not be repeated blindly.
type UncertainError struct {
	K   int         // nodes known to have stored it
	W   int         // those that were asked for
	Dot version.Dot // of the write; the zero Dot for an increment, or where it is unknown
	// Lost: the node that ran the command was not heard of again. It may be
	// stored on any number of replicas; K is then 0.
	Lost bool
}

// Error says how many replicas are known to hold the write, and its dot.
func (e *UncertainError) Error() string {
	switch {
	case e.Lost:
		return fmt.Sprintf("known to be stored on %d of %d: the owner that ran the command did not answer, so it may be stored on any of them", e.K, e.W)
	case e.Dot.IsZero():
		return fmt.Sprintf("stored on %d of %d, and may yet take effect", e.K, e.W)
	}
	return fmt.Sprintf("stored on %d of %d as %v, and may yet take effect", e.K, e.W, e.Dot)
}
