package replica

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/dynaring/dynaring/storage/version"
)

// Errors of whole batches.
var (
	// ErrClosed: the replica has stopped taking work. Nothing was stored.
	ErrClosed = errors.New("this node is shutting down")
	// ErrBadChange: a Change of an unknown kind.
	ErrBadChange = errors.New("replica: unknown kind of change")
	// ErrStale: cells that were read too long ago. Nothing was stored of them.
	ErrStale = errors.New("these cells were read too long ago to be merged")
	// ErrHintsFull: hints for the owner have reached their bound. Nothing was
	// stored, and the owner is marked for a full compare ([HintStats]).
	ErrHintsFull = errors.New("this node keeps as many hints for that owner as it may")
)

// Key names one cell. A string key is the cell with an empty field.
type Key struct {
	Slot  uint16 // of Key on the ring; it decides the lane
	Key   []byte
	Field []byte
}

// ChangeKind is what a Change does to its cell.
type ChangeKind uint8

const (
	// None leaves the cell as it is.
	None ChangeKind = iota
	// Put writes Value with Expiry.
	Put
	// Delete writes a tombstone.
	Delete
	// Incr adds By to the cell's number.
	Incr
)

// Change is what an update does, decided by its Decide or beforehand.
type Change struct {
	Kind    ChangeKind
	Value   []byte           // Put: copied before Applied is called
	Expiry  int64            // Put: Unix ms, 0 for none
	By      int64            // Incr
	Context *version.Context // Put, Delete: what the writer has seen; nil: what this replica holds
}

// Update is one operation on one cell, and its outcome. The outcome may be
// read from the batch's Applied on.
type Update struct {
	Key Key
	// Decide, if set, computes the change from the cell as it is when the
	// operation's turn comes (nil: never written) and the Unix time in ms. It
	// runs on a lane: it must not block. Its error becomes Err, and nothing is
	// written for this operation.
	Decide func(cur *version.Cell, now int64) (Change, error)
	Change Change // used as it is where Decide is nil

	// Next is the cell after the operation: where several operations of one
	// batch meet in a cell, the Next of the last covers them all.
	Next *version.Cell
	// Delta is the smallest cell that carries this operation alone to another
	// replica, nil if it wrote nothing. Deltas of operations on one cell may
	// be sent in any order, but every one of them has to be sent, or else the
	// last Next.
	Delta *version.Cell
	// Dot names the version written; for Incr, this actor and the count of its
	// increments.
	Dot version.Dot
	// Number is Incr's result.
	Number int64
	// Err says why this operation stored nothing; its neighbours are not
	// affected. It stays nil where Decide chose None.
	Err error

	row rowKey
}

// UpdateBatch is a coordinator's own writes, in order. It belongs to the
// replica from Update until Durable has been called.
//
// Applied is called once, when all operations have been carried out and are
// visible to readers. Durable is called once, after Applied: with nil when
// everything that was stored is as durable as the durability mode asks of a
// coordinator's replica; with an error when that cannot be known any more. If
// Durable is called alone, with an error, nothing was stored. If lanes
// disagree (some stored their share, some refused), Applied is called and the
// refused operations carry the refusal in Err.
//
// Both run on goroutines that others wait for: they must not block, and must
// not call Update or Apply. Either may be nil.
type UpdateBatch struct {
	Ops     []Update
	Applied func()
	Durable func(error)

	rows []byte // backs the operations' rows
}

// KeyedCell is a cell and its place.
type KeyedCell struct {
	Key  Key
	Cell *version.Cell
}

// ApplyBatch is cells to be merged into this replica, or, with For, into what
// it keeps for another node. It belongs to the
// replica from Apply until Done has been called: once, with nil when all cells
// are merged and as durable as the mode asks of a replica that is not the
// coordinator's (always: synced; one, interval: in memory). After an error some of
// the cells may have been merged; applying them again does no harm. The cells
// are kept: their memory must not change. Done must not block, and must not
// call Update or Apply; it may be nil.
type ApplyBatch struct {
	Cells []KeyedCell
	For   string // the owner that the cells are hints for; "": this replica's own
	Must  bool   // hints are stored beyond their bound too
	// Read is when the cells were read, on whichever replica, or earlier; zero:
	// they are new. Once they are older than OpLifetime they are refused with
	// ErrStale when their turn comes: others may have dropped them since (law 7).
	Read time.Time
	Done func(error)

	sent  version.Timestamp // by a peer; 0: it comes from this node
	owner *hintOwner
	places
}

// DropBatch is cells to be dropped where they are still, byte for byte, what is
// given: hints that their owner has, or cells of this replica's own that belong
// to others, who have them. A cell that has changed meanwhile stays. It belongs
// to the replica from Drop until Done has been called, once: with nil when all
// that was dropped is as durable as the mode asks (after a crash less durable
// drops may be undone), and then Dropped counts it. Done must not block, and
// must not call the replica's batch methods; it may be nil.
type DropBatch struct {
	For     string // the owner that the cells are hints for; "": this replica's own
	Cells   []KeyedCell
	Dropped int
	Done    func(error)

	owner *hintOwner
	count atomic.Int64
	places
}

// InspectBatch asks what is held of some cells, behind all work that was queued
// before it. It belongs to the replica from Inspect until Done has been called,
// once: with nil when Found holds an answer for each ask. The asks' digests are
// not looked at. Done must not block, and must not call the replica's batch
// methods.
type InspectBatch struct {
	Asks  []Ask
	Found []Inspected
	Done  func(error)

	places
}

// Inspected is what a replica holds of one cell.
type Inspected struct {
	Digest uint64 // of its own cell, 0: none
	Dead   bool   // by this replica's clock, and has been for ClockMargin; what is not there is dead
	Hinted bool   // it is kept for some owner too
	// Recent: hints of the cell's slot have come or gone, or others' cells of it
	// been dropped, within MaxMessageAge + OpLifetime, or this replica has not
	// been up for that long.
	Recent bool
}

// CollectBatch asks for cells to be dropped that every owner holds, each if it
// still has the digest given and is dead, as Inspected says. It belongs to the
// replica from Collect until Done has been called, once: with nil when
// Collected says of each cell whether it is gone (or was never there). Done
// must not block, and must not call the replica's batch methods.
type CollectBatch struct {
	Asks      []Ask
	Collected []bool
	Expired   atomic.Int64 // cells of them that had expired, and were not deleted
	Done      func(error)

	places
}

// places are the rows of a batch's cells.
type places struct {
	rows []byte // backs keys
	keys []rowKey
}
