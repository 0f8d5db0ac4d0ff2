package antientropy

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/dynaring/dynaring/replica"
)

// maxListed bounds the items of a page of a listing.
const maxListed = 1024

// remote is a peer's replica. What is moved for it is paced and counted.
type remote struct {
	name  string
	peers Peers
	pace  Pace
	bytes *atomic.Uint64
}

func (r *remote) ask(ctx context.Context, kind uint8, body []byte) ([]byte, error) {
	answer, err := ask(ctx, r.peers, r.name, kind, body)
	if err != nil {
		return nil, err
	}
	return answer, r.moved(ctx, len(body)+len(answer))
}

// moved accounts for bytes after the fact: only then are they known. The next
// piece of work waits for them.
func (r *remote) moved(ctx context.Context, bytes int) error {
	r.bytes.Add(uint64(bytes))
	return r.pace.Wait(ctx, bytes)
}

func (r *remote) hashes(ctx context.Context, ranges []replica.SlotRange) ([]uint64, error) {
	return r.hashed(ctx, ranges, false, len(ranges))
}

func (r *remote) leaves(ctx context.Context, slots []uint16) ([]leaves, error) {
	flat, err := r.hashed(ctx, singles(slots), true, replica.LeavesPerSlot*len(slots))
	if err != nil {
		return nil, err
	}
	out := make([]leaves, len(slots))
	for i := range out {
		copy(out[i][:], flat[i*replica.LeavesPerSlot:])
	}
	return out, nil
}

func (r *remote) hashed(ctx context.Context, ranges []replica.SlotRange, deep bool, n int) ([]uint64, error) {
	body, err := r.ask(ctx, replica.KindHashes, replica.AppendHashes(nil, ranges, deep))
	if err != nil {
		return nil, err
	}
	hashes, err := replica.DecodeHashed(body, n)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	return hashes, nil
}

func (r *remote) list(ctx context.Context, slot, set uint16, after []byte) (replica.Listing, error) {
	body, err := r.ask(ctx, replica.KindList, replica.AppendList(nil, slot, set, after, maxListed))
	if err != nil {
		return replica.Listing{}, err
	}
	l, err := replica.DecodeListing(body)
	if err != nil {
		return replica.Listing{}, fmt.Errorf("%s: %w", r.name, err)
	}
	return l, nil
}

// Hashed is this node's replica, as far as its hashes go. *replica.Replica is
// one.
type Hashed interface {
	RangeHash(first, last uint16) uint64
	Leaves(slot uint16) [replica.LeavesPerSlot]uint64
	List(ctx context.Context, slot, leaves uint16, after []byte, limit int) (replica.Listing, error)
}

// local is this node's replica as a side.
type local struct{ replica Hashed }

func (l local) hashes(_ context.Context, ranges []replica.SlotRange) ([]uint64, error) {
	out := make([]uint64, len(ranges))
	for i, r := range ranges {
		out[i] = l.replica.RangeHash(r.First, r.Last)
	}
	return out, nil
}

func (l local) leaves(_ context.Context, slots []uint16) ([]leaves, error) {
	out := make([]leaves, len(slots))
	for i, slot := range slots {
		out[i] = l.replica.Leaves(slot)
	}
	return out, nil
}

func (l local) list(ctx context.Context, slot, set uint16, after []byte) (replica.Listing, error) {
	return l.replica.List(ctx, slot, set, after, maxListed)
}
