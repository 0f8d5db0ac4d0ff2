package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

const (
	sweepTries = 8                      // of one page
	sweepPause = 100 * time.Millisecond // between them
)

// Sweep has handle take care of every cell of ranges of slots, or all, of which
// any copy that can be reached is alive: page by page, each cell merged from its
// copies, without its value, and maybe more than once. First come those that
// nodes keep for others, then those of all present owners that answer, at least
// R: what the former hand to the latter meanwhile is met there. A copy is alive
// here for replica.ClockMargin longer than it is, for clocks may differ.
//
// A page that cannot be read, or that handle fails on, is tried again a few
// times; the whole has no bound but ctx. It fails with *NoQuorumError before it
// has begun where fewer than R of a slot's owners can be reached, and with
// ErrLoading. Calls of handle do not overlap.
func (c *Coordinator) Sweep(ctx context.Context, in []ring.Range, handle func([]replica.KeyedCell) error) error {
	v := c.views.View()
	if v.Ring == nil {
		return ErrLoading
	}
	s := sweeper{c: c, ctx: ctx, in: orAllSlots(in), handle: handle, turn: make(chan struct{}, 1)}
	s.deadBy = c.opts.Now().Add(-replica.ClockMargin).UnixMilli()
	if _, err := c.blocks(&v, s.in, nil, "scan"); err != nil {
		return err
	}
	if err := s.kept(&v); err != nil {
		return err
	}
	var g errgroup.Group
	for _, part := range halves(s.in) {
		g.Go(func() error { return s.ownedIn(part) })
	}
	return g.Wait()
}

// halves divides ranges in two: while a page of one is handled, one of the other
// is read.
func halves(in []ring.Range) (parts [2][]ring.Range) {
	slots := 0
	for _, r := range in {
		slots += r.Len()
	}
	slots /= 2
	for _, r := range in {
		switch n := r.Len(); {
		case slots >= n:
			parts[0] = append(parts[0], r)
		case slots > 0:
			mid := r.Lo + uint16(slots)
			parts[0] = append(parts[0], ring.Range{Lo: r.Lo, Hi: mid - 1})
			parts[1] = append(parts[1], ring.Range{Lo: mid, Hi: r.Hi})
		default:
			parts[1] = append(parts[1], r)
		}
		slots -= min(slots, r.Len())
	}
	return parts
}

// sweeper is one Sweep.
type sweeper struct {
	c      *Coordinator
	ctx    context.Context
	in     []ring.Range
	deadBy int64 // Unix ms: what is dead by then is

	handle func([]replica.KeyedCell) error
	turn   chan struct{} // holds one while handle is called
}

// sweepPage is some cells of which a copy is alive.
type sweepPage struct {
	cells []replica.KeyedCell
	next  Position
	done  bool
}

// pages has the pages from a position on handled.
func (s *sweeper) pages(at Position, read func(at Position) (sweepPage, error)) error {
	for tries := 1; ; {
		page, err := read(at)
		if err == nil && len(page.cells) > 0 {
			s.turn <- struct{}{}
			err = s.handle(page.cells)
			<-s.turn
		}
		switch {
		case err == nil && page.done:
			return nil
		case err == nil:
			at, tries = page.next, 1
			continue
		case tries == sweepTries:
			return err
		}
		tries++
		select {
		case <-time.After(sweepPause):
		case <-s.ctx.Done():
			return err
		}
	}
}

func (s *sweeper) ownedIn(in []ring.Range) error {
	for _, r := range in {
		err := s.pages(Position{Slot: r.Lo}, func(at Position) (sweepPage, error) { return s.owned(at, r.Hi) })
		if err != nil {
			return err
		}
	}
	return nil
}

// owned reads a page from owners.
func (s *sweeper) owned(at Position, to uint16) (page sweepPage, err error) {
	left := func() int { return replica.MaxPage - len(page.cells) }
	page.next, page.done, err = s.c.eachStretch(s.ctx, at, to, true, left, func(key replica.Key, copies []*version.Cell) {
		if slices.ContainsFunc(copies, s.alive) {
			page.cells = append(page.cells, replica.KeyedCell{Key: key, Cell: mergeCopies(copies)})
		}
	})
	if len(page.cells) > 0 {
		return page, nil // the next page meets the error again
	}
	return page, err
}

func (s *sweeper) alive(c *version.Cell) bool { return len(c.Siblings(s.deadBy)) > 0 }

// errUnheard: a node that keeps cells for others does not say which.
var errUnheard = errors.New("what a node keeps for others cannot be read")

// kept has the cells handled that members keep for others. Members that cannot
// be asked do not count: no quorum does with what they keep.
func (s *sweeper) kept(v *View) error {
	var g errgroup.Group
	for _, m := range v.Ring.Members() {
		if m.Name != s.c.opts.Self && !s.c.peers.Up(m.Name) {
			continue
		}
		g.Go(func() error {
			err := s.keptBy(v, m.Name)
			if errors.Is(err, errUnheard) {
				s.c.log.Warn("clearing goes on without what a node keeps for others", "node", m.Name, "err", err)
				return nil
			}
			return err
		})
	}
	return g.Wait()
}

func (s *sweeper) keptBy(v *View, node string) error {
	scan := replica.ScanRequest{Last: ring.Slots - 1, Stripped: true, Of: replica.ScanHints}
	err := s.pages(Position{}, func(at Position) (sweepPage, error) { return s.keptPage(node, scan, at) })
	for slot := 0; err == nil && slot < ring.Slots; slot++ {
		from := slot
		for slot < ring.Slots && !slices.Contains(v.Ring.Lookup(uint16(slot)).Owners, node) {
			slot++
		}
		if slot == from {
			continue
		}
		scan = replica.ScanRequest{First: uint16(from), Last: uint16(slot - 1), Stripped: true, Of: replica.ScanStrays}
		err = s.pages(Position{}, func(at Position) (sweepPage, error) { return s.keptPage(node, scan, at) })
	}
	return err
}

// keptPage reads the page of one node's scan that comes after a row.
func (s *sweeper) keptPage(node string, scan replica.ScanRequest, at Position) (sweepPage, error) {
	scan.After = at.After
	got, err := s.c.pageFrom(s.ctx, node, scan)
	if err != nil {
		return sweepPage{}, fmt.Errorf("%w: %w", errUnheard, err)
	}
	page := sweepPage{next: Position{After: got.Next}, done: len(got.Next) == 0}
	for _, kc := range got.Cells {
		in := slices.ContainsFunc(s.in, func(r ring.Range) bool { return r.Contains(kc.Key.Slot) })
		if in && s.alive(kc.Cell) {
			page.cells = append(page.cells, kc)
		}
	}
	return page, nil
}

// pageFrom reads a page of one node's scan.
func (c *Coordinator) pageFrom(ctx context.Context, node string, s replica.ScanRequest) (replica.Page, error) {
	if node == c.opts.Self {
		return c.replica.Scan(ctx, s)
	}
	answer := make(chan pageAnswer, 1)
	c.peers.Call(node, peer.Bulk, replica.KindScan, replica.AppendScan(nil, s), c.deadline(ctx, time.Now()), func(r peer.Reply) {
		answer <- pageAnswer{body: bytes.Clone(r.Body), err: r.Err}
	})
	a := <-answer
	if a.err != nil {
		return replica.Page{}, a.err
	}
	return replica.DecodePage(a.body)
}
