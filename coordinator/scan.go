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

// ScanPage returns about limit keys from a position on, as R owners of each
// slot know them: no key is missed that R of its owners hold. A page may have
// fewer keys, or none, without being the last. It fails with *NoQuorumError if
// it cannot even begin, and with ErrLoading.
func (c *Coordinator) ScanPage(ctx context.Context, from Position, limit int) (KeyPage, error) {
	v := c.views.View()
	if v.Ring == nil {
		return KeyPage{}, ErrLoading
	}
	deadline := c.deadline(ctx, time.Now())
	limit = min(max(limit, 1), replica.MaxPage)
	page := KeyPage{Next: from}
	for range maxStretches {
		at := &page.Next
		last := stretch(v.Ring, at.Slot, ring.Slots-1)
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
		case last == ring.Slots-1:
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
	targets := c.reachable(nil, v, c.others(v.Ring, p))
	voters := (bit(len(targets)) - 1) << 1
	here := slices.Contains(p.Owners, c.opts.Self)
	if here {
		voters |= bit(0)
	}
	y := newTally(quorum(0, c.opts.R, p.Width), voters)
	answers := make(chan pageAnswer, len(targets))
	request, asked := replica.AppendScan(nil, s), 0
	ask := func() {
		asked++
		pos := asked
		y.ask(pos)
		c.peers.Call(targets[pos-1], peer.Bulk, replica.KindScan, request, deadline, func(r peer.Reply) {
			answers <- pageAnswer{pos, bytes.Clone(r.Body), r.Err}
		})
	}
	if here {
		y.ask(0)
	}
	for range y.short() {
		if asked < len(targets) {
			ask()
		}
	}
	var pages []replica.Page
	if here {
		page, err := c.replica.Scan(ctx, s)
		if y.answer(0, err == nil); err == nil {
			pages = append(pages, page)
		}
	}
	timer := time.NewTimer(min(scanLate, time.Until(deadline)))
	defer timer.Stop()
	for y.outcome() == pending {
		for y.short() > 0 && asked < len(targets) {
			ask()
		}
		select {
		case a := <-answers:
			page, err := a.page()
			if y.answer(a.pos, err == nil); err == nil {
				pages = append(pages, page)
			}
			continue
		case <-timer.C:
		case <-ctx.Done():
		}
		if !time.Now().Before(deadline) || ctx.Err() != nil {
			break
		}
		if asked < len(targets) {
			ask()
		}
		timer.Reset(min(scanLate, time.Until(deadline)))
	}
	if y.outcome() != enough {
		c.counters.noQuorum.Add(1)
		return nil, nil, &NoQuorumError{Op: "scan", Need: y.need, Got: y.got()}
	}
	keys, next = mergePages(pages, c.opts.Now().UnixMilli())
	return keys, next, nil
}

// pageAnswer is one owner's answer to a scan.
type pageAnswer struct {
	pos  int
	body []byte
	err  error
}

func (a *pageAnswer) page() (replica.Page, error) {
	if a.err != nil {
		return replica.Page{}, a.err
	}
	return replica.DecodePage(a.body)
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
