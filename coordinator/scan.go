package coordinator

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

const (
	// scanLate is when another owner is asked for a page that does not come.
	scanLate = 200 * time.Millisecond
	// maxStretches bounds the stretches of slots that one page looks at.
	maxStretches = 1024
)

// Position is a place in the order of the keyspace: what comes after the row
// After in Slot, all of Slot if it is empty, and the later slots.
type Position struct {
	Slot  uint16
	After []byte
}

// KeyPage is a page of the keyspace. The next one begins at Next; Done says
// that there is none.
type KeyPage struct {
	Keys []replica.Key // alive, by slot and key, without fields
	Next Position
	Done bool
}

// ScanPage returns about limit keys from a position up to a slot, as R owners of each
// slot know them: no key is missed that R of its owners hold. A page may have
// fewer keys, or none, without being the last. It fails with *NoQuorumError if
// it cannot even begin, and with ErrLoading.
func (c *Coordinator) ScanPage(ctx context.Context, from Position, to uint16, limit int) (KeyPage, error) {
	page, now := KeyPage{}, c.opts.Now().UnixMilli()
	found := func(key replica.Key, copies []*version.Cell) {
		if _, alive := mergeCopies(copies).Winner(now); alive {
			page.add(key)
		}
	}
	var err error
	page.Next, page.Done, err = c.eachStretch(ctx, from, to, false, func() int { return limit - len(page.Keys) }, found)
	if err != nil && len(page.Keys) == 0 {
		return KeyPage{}, err
	}
	return page, nil // the next page meets the error again
}

// add appends a key, unless a field of it was the last.
func (p *KeyPage) add(key replica.Key) {
	if n := len(p.Keys); n == 0 || p.Keys[n-1].Slot != key.Slot || !bytes.Equal(p.Keys[n-1].Key, key.Key) {
		p.Keys = append(p.Keys, replica.Key{Slot: key.Slot, Key: key.Key})
	}
}

// Seek returns the first row of a slot that is the one looked for, alive or not,
// on whichever owner answers soon; nil: there is none. It fails as ScanPage does.
func (c *Coordinator) Seek(ctx context.Context, slot uint16, is func(row []byte) bool) (row []byte, err error) {
	for at, done := (Position{Slot: slot}), false; row == nil && !done; {
		left := func() int {
			if row != nil {
				return 0
			}
			return replica.MaxPage
		}
		at, done, err = c.eachStretch(ctx, at, slot, true, left, func(key replica.Key, _ []*version.Cell) {
			if row == nil {
				if r := storage.AppendRow(nil, key.Slot, key.Key, key.Field); is(r) {
					row = r
				}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return row, nil
}

// eachStretch reads the cells from a position up to a slot, stretch by stretch,
// from R owners of each, or from all that answer soon, and shows found each
// cell's copies, until it has come to the end or to what is left, or half of its
// time is over. It returns where it stopped.
func (c *Coordinator) eachStretch(ctx context.Context, at Position, to uint16, all bool, left func() int, found func(replica.Key, []*version.Cell)) (next Position, done bool, err error) {
	v := c.views.View()
	if v.Ring == nil {
		return at, false, ErrLoading
	}
	deadline := c.deadline(ctx, time.Now())
	for range maxStretches {
		last := stretch(v.Ring, at.Slot, to)
		pages, err := c.scanStretch(ctx, &v, replica.ScanRequest{
			First: at.Slot, Last: last, After: at.After, Limit: min(max(left(), 1), replica.MaxPage), Stripped: true,
		}, all, deadline)
		if err != nil {
			return at, false, err
		}
		row := eachRow(pages, found)
		switch {
		case len(row) > 0:
			at = Position{slotOf(row, at.Slot), row}
		case last == to:
			return Position{Slot: last}, true, nil
		default:
			at = Position{Slot: last + 1}
		}
		if left() <= 0 || time.Until(deadline) < c.opts.Timeout/2 || ctx.Err() != nil {
			break
		}
	}
	return at, false, nil
}

// stretch returns the last slot, up to hi, that has the same owners as first
// and all in between.
func stretch(r *ring.Ring, first, hi uint16) uint16 {
	set := r.Lookup(first).Set
	for first < hi && r.Lookup(first+1).Set == set {
		first++
	}
	return first
}

func slotOf(row []byte, otherwise uint16) uint16 {
	if slot, _, _, err := storage.ParseRow(row); err == nil {
		return slot
	}
	return otherwise
}

// scanStretch reads one page of slots that have the same owners, from R of
// them, or from all that answer soon.
func (c *Coordinator) scanStretch(ctx context.Context, v *View, s replica.ScanRequest, all bool, deadline time.Time) ([]replica.Page, error) {
	p := v.Ring.Lookup(s.First)
	d := scanDriver{c: c, deadline: deadline, request: replica.AppendScan(nil, s)}
	d.targets = c.reachable(nil, v, c.others(v.Ring, p))
	d.answers = make(chan pageAnswer, len(d.targets))
	here := slices.Contains(p.Owners, c.opts.Self)
	voters := (bit(len(d.targets)) - 1) << 1
	if here {
		voters |= bit(0)
	}
	d.tally = newTally(quorum(0, c.opts.R, p.Width), voters)
	if here {
		d.tally.ask(0)
	}
	if all {
		d.ask(len(d.targets))
	} else {
		d.ask(d.tally.short())
	}
	if here {
		page, err := c.replica.Scan(ctx, s)
		d.take(0, page, err)
	}
	if all {
		d.await(ctx)
	}
	d.run(ctx)
	if d.tally.outcome() != enough {
		c.counters.noQuorum.Add(1)
		return nil, &NoQuorumError{Op: "scan", Need: d.tally.need, Got: d.tally.got()}
	}
	return d.pages, nil
}

// scanDriver reads one page from R owners.
type scanDriver struct {
	c        *Coordinator
	deadline time.Time
	request  []byte
	tally    tally    // position 0 is this node, i+1 is targets[i]
	targets  []string // other present owners that can be called
	asked    int      // of targets
	answers  chan pageAnswer
	pages    []replica.Page
}

// pageAnswer is one owner's answer to a scan.
type pageAnswer struct {
	pos  int
	body []byte
	err  error
}

// ask asks up to n further owners.
func (d *scanDriver) ask(n int) {
	for ; n > 0 && d.asked < len(d.targets); n-- {
		node, pos := d.targets[d.asked], d.asked+1
		d.asked = pos
		d.tally.ask(pos)
		d.c.peers.Call(node, peer.Bulk, replica.KindScan, d.request, d.deadline, func(r peer.Reply) {
			d.answers <- pageAnswer{pos, bytes.Clone(r.Body), r.Err}
		})
	}
}

func (d *scanDriver) take(pos int, page replica.Page, err error) {
	if d.tally.answer(pos, err == nil); err == nil {
		d.pages = append(d.pages, page)
	}
}

// await gives those that were asked a while to answer.
func (d *scanDriver) await(ctx context.Context) {
	timer := time.NewTimer(min(scanLate, time.Until(d.deadline)))
	defer timer.Stop()
	for d.tally.waiting() != 0 {
		select {
		case a := <-d.answers:
			d.answered(a)
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (d *scanDriver) answered(a pageAnswer) {
	page, err := replica.Page{}, a.err
	if err == nil {
		page, err = replica.DecodePage(a.body)
	}
	d.take(a.pos, page, err)
}

// run waits for R pages. Who fails is replaced at once, who is late after a
// while.
func (d *scanDriver) run(ctx context.Context) {
	timer := time.NewTimer(min(scanLate, time.Until(d.deadline)))
	defer timer.Stop()
	for d.tally.outcome() == pending {
		select {
		case a := <-d.answers:
			d.answered(a)
			d.ask(d.tally.short())
			continue
		case <-timer.C:
		case <-ctx.Done():
		}
		if !time.Now().Before(d.deadline) || ctx.Err() != nil {
			return
		}
		d.ask(1)
		timer.Reset(min(scanLate, time.Until(d.deadline)))
	}
}

// eachRow shows found the copies of each cell of pages of one range of rows, in
// order, up to the row that all of them reach, which it returns; it is empty if
// all reach the end. The slice of copies is used again.
func eachRow(pages []replica.Page, found func(key replica.Key, copies []*version.Cell)) (next []byte) {
	type place struct {
		row  []byte
		cell *replica.KeyedCell
	}
	var all []place
	for i := range pages {
		if n := pages[i].Next; len(n) > 0 && (next == nil || bytes.Compare(n, next) < 0) {
			next = n
		}
		for j := range pages[i].Cells {
			kc := &pages[i].Cells[j]
			all = append(all, place{storage.AppendRow(nil, kc.Key.Slot, kc.Key.Key, kc.Key.Field), kc})
		}
	}
	slices.SortFunc(all, func(a, b place) int { return bytes.Compare(a.row, b.row) })
	var copies []*version.Cell
	for i := 0; i < len(all); {
		row, key := all[i].row, all[i].cell.Key
		if next != nil && bytes.Compare(row, next) > 0 {
			break
		}
		for copies = copies[:0]; i < len(all) && bytes.Equal(all[i].row, row); i++ {
			copies = append(copies, all[i].cell.Cell)
		}
		found(key, copies)
	}
	return next
}

func mergeCopies(copies []*version.Cell) *version.Cell {
	cell := copies[0]
	for _, c := range copies[1:] {
		cell = version.Merge(cell, c)
	}
	return cell
}
