package resp

import (
	"context"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

// Backend runs units of one key: *coordinator.Coordinator. Its calls take
// batches, whose slices are the caller's again when they return; what the
// arguments point to is never changed afterwards.
type Backend interface {
	// Route returns the node that should run a command on a key of the slot;
	// "" is this node.
	Route(slot uint16, class coordinator.Class) (node string, err error)
	// Read fills in every operation's Cell or Err.
	Read(ctx context.Context, ops []coordinator.Read)
	// Write carries out the operations, those on one key in their order, and
	// fills in every Err and Update.
	Write(ctx context.Context, ops []coordinator.Write)
	// Forward has the node run the commands, and fills in every Reply or Err.
	Forward(ctx context.Context, node string, x *coordinator.Exec)
}

// Cluster answers what concerns more than one key, or this node alone.
type Cluster interface {
	// Local returns the cell as this node's own replica holds it, hints
	// included; nil if it holds nothing.
	Local(key replica.Key) (*version.Cell, error)
	// ActorName prints an actor by its node: "n1", "n1/2".
	ActorName(a version.Actor) string
	// Quorum returns the cluster's N and this node's R and W.
	Quorum() (n, r, w int)

	// Status, History and Explain are what DCLUSTER and DEXPLAIN show.
	Status(ctx context.Context) (Status, error)
	History(ctx context.Context) ([]Event, error)
	Explain(ctx context.Context, key replica.Key) (Explanation, error)
	// Settled asks all members why the cluster is not at rest; no reasons: it
	// is.
	Settled(ctx context.Context) (reasons []string, err error)

	// Members returns how many nodes the cluster has.
	Members() int
	// Owns reports whether this node is an owner of a slot now, and Slots who
	// leads and owns all of them; nil: not known yet.
	Owns(slot uint16) bool
	Slots() *SlotTable

	// Count returns how many keys are alive in ranges of slots, or all, and how
	// long they live.
	Count(ctx context.Context, in ...ring.Range) (Keys, error)
	// Expired returns how many keys this node has cleared away because they had
	// expired, since its start.
	Expired() int64
	// Scan returns a page of the live keys of the cluster, from a position up
	// to a slot, in order of slot and key. It may return fewer than limit keys,
	// or none, before the end.
	Scan(ctx context.Context, from Position, last uint16, limit int) (Page, error)
	// Seek returns the first After of a position in a slot that is the one looked
	// for; nil: there is none.
	Seek(ctx context.Context, slot uint16, is func(after []byte) bool) (after []byte, err error)
	// Sweep has handle take care, page by page, of every cell of ranges of slots,
	// or all, of which a copy is alive that can be reached: merged from its
	// copies, without its value. A page that handle fails on may be tried again.
	Sweep(ctx context.Context, in []ring.Range, handle func(cells []replica.KeyedCell) error) error

	// Tell sends a message to all other live nodes at once, where Server.Hear
	// gets those of one caller in their order, and returns what waits for their
	// answers: for a short time only, whoever does not answer. The message is
	// the caller's again when Tell returns.
	Tell(message []byte) (answers func() [][]byte)

	// Info returns what the node adds to INFO.
	Info() []Section
}

// Position is a place in the order of the keyspace: the rest of Slot, and the
// later slots. After marks the place inside the slot in the Cluster's own way;
// empty: its start.
type Position struct {
	Slot  uint16
	After []byte
}

// Page is some of the keyspace. It ends before Next; Done says that nothing is
// left behind it.
type Page struct {
	Keys []ScannedKey
	Next Position
	Done bool
}

// ScannedKey is a live key and the name of its type, as TYPE answers it.
type ScannedKey struct {
	Key  []byte
	Type string
}

// Keys is how many keys there are.
type Keys struct {
	Live, Expiring int64
	MeanTTL        int64 // of those that expire, in ms
}

// Status is the cluster as this node sees it.
type Status struct {
	Cluster    string // id
	Self       string // this node's name
	N, R, W    int
	Placement  string
	Partitions int
	Members    []Member // by name
}

// Member is one node of the cluster. Addresses are host:port, "" if unknown.
type Member struct {
	Name, Actor, Zone                                 string
	Up                                                bool
	Weight                                            int
	Addr, ClusterAddr, PeerAddr, GossipAddr, HTTPAddr string
	Owned, Coming                                     int // slots
	Version                                           string

	State  *MemberState // what it says of itself; nil: it did not answer
	SeenBy []Sight      // how those others see it that answered, by name
}

// MemberState is what one node knows of what is not settled there.
type MemberState struct {
	Hints     []HintsFor
	Strays    int   // cells in slots of others
	Unstepped int   // pairs of a slot and another owner not in step since the slot's last change
	Lag       int64 // ms that the oldest of those has been so
	LastFull  int64 // Unix ms of the last full compare with the owner longest not compared; 0: never
	Collected uint64
	HeldUp    string // what keeps dead cells from being collected
}

// HintsFor is what a node keeps for another.
type HintsFor struct {
	Owner        string
	Cells, Bytes int64
	Age          int64   // ms, of the oldest write among them
	Rate         float64 // cells a second handed over, lately
}

// Sight is how one node sees another.
type Sight struct {
	Node string
	Up   bool
}

// Event is one line of the cluster's history.
type Event struct {
	ID     string
	Millis int64  // Unix ms
	Kind   string // found, join, ready, …
	Name   string // of the member, if it is about one
	Detail string // the rest, for people
}

// Explanation is where a key lives, and what each of its replicas holds.
type Explanation struct {
	Slot, Partition int
	Replicas        []KeyReplica // in order of preference
}

// KeyReplica is one node's share of a key.
type KeyReplica struct {
	Name, Role string // owner, coming or fallback
	Up         bool
	Asked      bool     // whether the rest is known
	Clocks     []string // of each version of its own: [(n1,2),(n2,1)]
	Digest     string   // of its own, 16 hex digits; "" if nothing is held
	Hints      int      // pending there: for so many owners
	Hinted     []string // clocks of versions that it holds in hints alone
}

// Section is a part of INFO. Fields of a section that Redis has come after
// Redis's.
type Section struct {
	Name   string // "Dynaring", "Memory"
	Fields []Field
}

// Field is one line of a Section.
type Field struct{ Name, Value string }
