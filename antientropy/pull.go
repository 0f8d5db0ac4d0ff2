package antientropy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
)

// source is one owner that a range is pulled from.
type source struct {
	assignment ring.EventID // since which this node is coming to the range
	slots      ring.Range
	owner      string
}

// position is how far a source has been pulled from. It outlives a pull that
// fails: what is written meanwhile comes here as well, and what of that got
// lost is found when the range is compared.
type position struct {
	after []byte // the row that was stored last
	done  bool
}

func (t *Takeover) position(s source) position {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.positions[s]
}

func (t *Takeover) setPosition(s source, p position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.positions[s] = p
}

// keepPositions forgets those of assignments that are no more.
func (t *Takeover) keepPositions(coming []ring.Assignment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := range t.positions {
		still := false
		for _, a := range coming {
			still = still || a.Since == s.assignment && a.Range == s.slots
		}
		if !still {
			delete(t.positions, s)
		}
	}
}

// sources returns from how many of its present owners a slot must be pulled to
// meet every write that W owners acknowledged. An owner that has lost its data
// took its copies along, so W of the list's width is what counts, not W of
// those that are left.
func sources(p *ring.Preference, w int) int {
	return min(len(p.Owners), max(1, p.Width-min(w, p.Width)+1))
}

// each does something for each assignment, a few at a time.
func each(ctx context.Context, coming []ring.Assignment, do func(context.Context, ring.Assignment) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(pullers)
	for _, a := range coming {
		g.Go(func() error { return do(ctx, a) })
	}
	return g.Wait()
}

// pull merges what one of the present owners of the range holds into this
// replica; the comparing finds what that one does not have.
func (t *Takeover) pull(ctx context.Context, a ring.Assignment) error {
	owners := t.members.View().Ring.Lookup(a.Range.Lo).Owners
	var failed error
	for i := range owners {
		// Ranges begin with different owners, to spread the load.
		owner := owners[(int(a.Range.Lo)/a.Range.Len()+i)%len(owners)]
		err := t.from(owner, func() error { return t.pullFrom(ctx, source{a.Since, a.Range, owner}) })
		if err == nil {
			failed = nil
			break
		}
		failed = errors.Join(failed, err)
	}
	if failed != nil {
		return fmt.Errorf("slots %v: no owner has handed them over: %w", a.Range, failed)
	}
	t.advance(a.Range.Len(), 0)
	return nil
}

// from does something with an owner that can be reached.
func (t *Takeover) from(owner string, do func() error) error {
	if !t.peers.Up(owner) {
		return fmt.Errorf("%s is down", owner)
	}
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", owner, err)
	}
	return nil
}

// pullFrom merges every cell that one owner holds in the range into this
// replica, page by page; the next page is asked for when the last is stored.
func (t *Takeover) pullFrom(ctx context.Context, s source) error {
	at := t.position(s)
	for !at.done {
		read := time.Now()
		body, err := ask(ctx, t.peers, s.owner, replica.KindScan, replica.AppendScan(nil, replica.ScanRequest{
			First: s.slots.Lo, Last: s.slots.Hi, Limit: pageCells, After: at.after,
		}))
		if err != nil {
			return err
		}
		page, err := replica.DecodePage(body)
		if err != nil {
			return err
		}
		if err := apply(ctx, t.replica, page.Cells, read); err != nil {
			return err
		}
		t.advance(0, len(page.Cells))
		at = position{after: page.Next, done: len(page.Next) == 0}
		t.setPosition(s, at)
		if err := t.opts.Pace.Wait(ctx, len(body)); err != nil {
			return err
		}
	}
	return nil
}

// compare has this node and the present owners hold the same of the range, as
// many of them as are needed, and more where they can be reached. So it gets
// what one of them alone has, and what a write has failed to bring here since
// its row was pulled.
func (t *Takeover) compare(ctx context.Context, a ring.Assignment) error {
	p := t.members.View().Ring.Lookup(a.Range.Lo)
	slots := appendSlots(nil, replica.SlotRange{First: a.Range.Lo, Last: a.Range.Hi})
	need, got := sources(p, t.opts.W), 0
	var failed error
	for _, owner := range p.Owners {
		if err := t.from(owner, func() error { return t.comparer.Compare(ctx, owner, slots) }); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		got++
	}
	if got < need {
		return fmt.Errorf("slots %v: %d of %d owners needed have been compared with: %w", a.Range, got, need, failed)
	}
	return nil
}
