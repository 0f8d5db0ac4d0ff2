package gossip

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dynaring/dynaring/ring"
)

// Errors of New, Run and Add. They are wrapped with the details.
var (
	// ErrSecretNeeded: gossip would listen beyond loopback without a secret.
	ErrSecretNeeded = errors.New("a cluster secret is needed")
	// ErrNotRunning: Add or Merge outside of Run.
	ErrNotRunning = errors.New("gossip is not running")
	// ErrNotJoined: Add before this node is a member.
	ErrNotJoined = errors.New("this node has not joined a cluster yet")
)

// Mismatch is one setting that was asked for and is not the cluster's.
type Mismatch struct {
	Flag    string // "--n"
	Cluster string // what the cluster was made with
	Asked   string
}

// MismatchError: settings were asked for that are not those the cluster was
// made with. They never change, so the node must not start.
type MismatchError struct{ Fields []Mismatch }

func (e *MismatchError) Error() string {
	var has, asked, drop []string
	for _, f := range e.Fields {
		has = append(has, f.Flag+" "+f.Cluster)
		asked = append(asked, f.Flag+" "+f.Asked)
		drop = append(drop, f.Flag)
	}
	return fmt.Sprintf("the cluster was made with %s, this node was asked for %s: these are fixed when a cluster is made; start the node with %s, or without %s",
		strings.Join(has, " "), strings.Join(asked, " "), strings.Join(has, " "), strings.Join(drop, " "))
}

// NameTakenError: another node of the cluster has this node's name.
type NameTakenError struct {
	Name  string
	Actor uint64 // of the other node
	Addr  string // its gossip address; "" where the history says it: this node's place is gone
}

func (e *NameTakenError) Error() string {
	if e.Addr == "" {
		return fmt.Sprintf("the name %q has passed to another node of the cluster (actor %016x), and this data directory's place with it: start with an empty --data-dir, under another --name or once that node is stopped",
			e.Name, e.Actor)
	}
	return fmt.Sprintf("the name %q belongs to another node of the cluster at %s (actor %016x): start this node with another --name, or stop that one first",
		e.Name, e.Addr, e.Actor)
}

// RenamedError: the data directory is another member's.
type RenamedError struct{ Name, Was string }

func (e *RenamedError) Error() string {
	return fmt.Sprintf("this data directory belongs to the member %q, not to %q: start it with --name %s, or with an empty --data-dir",
		e.Was, e.Name, e.Was)
}

// ForeignError: the data directory belongs to one cluster, and the seeds to
// another. It matches [ring.ErrForeignCluster].
type ForeignError struct {
	Seed         string
	Ours, Theirs uint64
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s is a member of another cluster (%016x) than this data directory (%016x): to join that one, start with an empty --data-dir; to keep this one, start without that --join",
		e.Seed, e.Theirs, e.Ours)
}

// Unwrap returns [ring.ErrForeignCluster].
func (e *ForeignError) Unwrap() error { return ring.ErrForeignCluster }
