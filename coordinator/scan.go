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
	v := c.views.View()
	if v.Ring == nil {
		return KeyPage{}, ErrLoading
	}
	deadline := c.deadline(ctx, time.Now())
	limit = min(max(limit, 1), replica.MaxPage)
	page := KeyPage{Next: from}
	for range maxStretches {
		at := &page.Next
		last := stretch(v.Ring, at.Slot, to)
		keys, next, err := c.scanStretch(ctx, &v, replica.ScanRequest{
			First: at.Slot, Last: last, After: at.After, Limit: limit - len(page.Keys), Stripped: true,
		}, deadline)
		if err != nil && len(page.Keys) == 0 {
			return KeyPage{}, err
		}
		if err != nil {
			return page, nil // the next page meets the error again
		}
		page.Keys = append(page.Keys, keys...)
		switch {
		case len(next) > 0:
			*at = Position{slotOf(next, at.Slot), next}
		case last == to:
			page.Done = true
			return page, nil
		default:
			*at = Position{Slot: last + 1}
		}
		if len(page.Keys) >= limit || time.Until(deadline) < c.opts.Timeout/2 || ctx.Err() != nil {
			break
		}
	}
	return page, nil
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
// them. next is the row that it ends at, empty if the stretch has no more.
func (c *Coordinator) scanStretch(ctx context.Context, v *View, s replica.ScanRequest, deadline time.Time) (keys []replica.Key, next []byte, err error) {
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
	d.ask(d.tally.short())
	if here {
		page, err := c.replica.Scan(ctx, s)
		d.take(0, page, err)
	}
	d.run(ctx)
	if d.tally.outcome() != enough {
		c.counters.noQuorum.Add(1)
		return nil, nil, &NoQuorumError{Op: "scan", Need: d.tally.need, Got: d.tally.got()}
	}
	keys, next = mergePages(d.pages, c.opts.Now().UnixMilli())
	return keys, next, nil
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

// run waits for R pages. Who fails is replaced at once, who is late after a
// while.
func (d *scanDriver) run(ctx context.Context) {
	timer := time.NewTimer(min(scanLate, time.Until(d.deadline)))
	defer timer.Stop()
	for d.tally.outcome() == pending {
		select {
		case a := <-d.answers:
			page, err := replica.Page{}, a.err
			if err == nil {
				page, err = replica.DecodePage(a.body)
			}
			d.take(a.pos, page, err)
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

// mergePages returns the live keys of pages of one range of rows, up to the
// row that all of them reach; next is that row, or empty if all reach the end.
// It is pure.
func mergePages(pages []replica.Page, now int64) (keys []replica.Key, next []byte) {
	type found struct {
		row  []byte
		cell *replica.KeyedCell
	}
	var all []found
	for i := range pages {
		if n := pages[i].Next; len(n) > 0 && (next == nil || bytes.Compare(n, next) < 0) {
			next = n
		}
		for j := range pages[i].Cells {
			kc := &pages[i].Cells[j]
			all = append(all, found{storage.AppendRow(nil, kc.Key.Slot, kc.Key.Key, kc.Key.Field), kc})
		}
	}
	slices.SortFunc(all, func(a, b found) int { return bytes.Compare(a.row, b.row) })
	for i := 0; i < len(all); {
		if next != nil && bytes.Compare(all[i].row, next) > 0 {
			break
		}
		key, cell := all[i].cell.Key, all[i].cell.Cell
		row := all[i].row
		for i++; i < len(all) && bytes.Equal(all[i].row, row); i++ {
			cell = version.Merge(cell, all[i].cell.Cell)
		}
		if _, alive := cell.Winner(now); !alive {
			continue
		}
		if n := len(keys); n == 0 || keys[n-1].Slot != key.Slot || !bytes.Equal(keys[n-1].Key, key.Key) {
			keys = append(keys, replica.Key{Slot: key.Slot, Key: key.Key})
		}
	}
	return keys, next
}
