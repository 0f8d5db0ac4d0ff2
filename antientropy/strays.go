package antientropy

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/ring/gossip"
)

// StrayStore is this node's replica, as far as strays need it.
type StrayStore interface {
	Keeper
	Slot(slot uint16) replica.SlotState
	Scan(context.Context, replica.ScanRequest) (replica.Page, error)
}

// StraysOptions configure Strays.
type StraysOptions struct {
	Self string
	Pace Pace // nil: as fast as the owners take them
	// Settle is longer than any request can take: what began under an older
	// ring has ended after it.
	Settle time.Duration
	Probe  bool // as HandoffOptions have it
}

const (
	// straysPoll is how often strays are looked for.
	straysPoll = 250 * time.Millisecond
	// straysPage bounds the cells on their way.
	straysPage = 256
	// What giving back waits after it failed, doubled each time.
	straysAgain    = 500 * time.Millisecond
	straysAgainMax = 10 * time.Second
)

// Strays gives back cells of slots that this node neither owns nor is coming
// to own: what it took in an owner's stead when none could be reached, and
// what it has left of slots that it lost. A cell is dropped when all its
// present owners hold it.
type Strays struct {
	opts  StraysOptions
	store StrayStore
	peers Peers
	views Views
	by    delivery

	history *ring.History // Run's own: when it was first seen
	since   time.Time

	mu     sync.Mutex
	status StraysStatus
}

// StraysStatus is what has been given back since the start.
type StraysStatus struct {
	Cells, Bytes uint64
	LastError    string `json:",omitempty"` // of the last round; "": it went well
}

// NewStrays returns Strays that do nothing before Run.
func NewStrays(o StraysOptions, store StrayStore, peers Peers, views Views) *Strays {
	if o.Pace == nil {
		o.Pace = unpaced{}
	}
	by := delivery{self: o.Self, store: store, peers: peers, probe: o.Probe}
	return &Strays{opts: o, store: store, peers: peers, views: views, by: by}
}

// Status returns what has been given back so far.
func (s *Strays) Status() StraysStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Count returns how many cells here are other nodes'. It does not count those
// of a node that is no member: it cannot tell.
func (s *Strays) Count() (n int) {
	v := s.views.View()
	for _, st := range s.foreign(v) {
		for slot := int(st.Range.Lo); slot <= int(st.Range.Hi); slot++ {
			n += int(s.store.Slot(uint16(slot)).Cells)
		}
	}
	return n
}

// foreign returns the slots that this node has nothing to do with.
func (s *Strays) foreign(v *gossip.View) []ring.Stretch {
	if _, member := v.Ring.Member(s.opts.Self); !member {
		return nil
	}
	var out []ring.Stretch
	for _, st := range v.Ring.Ranges() {
		if r := st.Preference.Role(s.opts.Self); r != ring.Owner && r != ring.Coming {
			out = append(out, st)
		}
	}
	return out
}

// Run gives strays back until ctx ends. What fails is tried again.
func (s *Strays) Run(ctx context.Context) error {
	failures := 0
	for ctx.Err() == nil {
		err := s.round(ctx)
		wait := straysPoll
		if err != nil {
			wait = min(straysAgain<<min(failures, 10), straysAgainMax)
			failures++
		} else {
			failures = 0
		}
		s.ended(err)
		if sleep(ctx, wait) != nil {
			return nil
		}
	}
	return nil
}

// returned counts what was given back.
func (s *Strays) returned(cells, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Cells += uint64(cells)
	s.status.Bytes += uint64(bytes)
}

// ended notes how a round ended.
func (s *Strays) ended(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.LastError = ""
	if err != nil {
		s.status.LastError = err.Error()
	}
}

// round gives back what it finds. Slots that wait for their owners, or for
// owners to come, are passed over.
func (s *Strays) round(ctx context.Context) error {
	v := s.views.View()
	if v.History != s.history {
		s.history, s.since = v.History, time.Now()
	}
	if time.Since(s.since) < s.opts.Settle {
		return nil
	}
	for _, st := range s.foreign(v) {
		if len(st.Preference.Coming) > 0 || !s.allUp(st.Preference.Owners) {
			continue
		}
		for slot := int(st.Range.Lo); slot <= int(st.Range.Hi); slot++ {
			if s.store.Slot(uint16(slot)).Cells == 0 {
				continue
			}
			// The rows from here on, up to the end of those that have the same
			// owners; what that leaves is found by the next round.
			if err := s.giveBack(ctx, v, ring.Range{Lo: uint16(slot), Hi: st.Range.Hi}, st.Preference.Owners); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

func (s *Strays) allUp(nodes []string) bool {
	for _, n := range nodes {
		if !s.peers.Up(n) {
			return false
		}
	}
	return len(nodes) > 0
}

// giveBack hands the cells of a range to its owners, page by page.
func (s *Strays) giveBack(ctx context.Context, v *gossip.View, slots ring.Range, owners []string) error {
	req := replica.ScanRequest{First: slots.Lo, Last: slots.Hi, Limit: straysPage}
	same := func() bool { return s.views.View().History == v.History }
	for {
		p := parcel{to: owners, read: time.Now()}
		page, err := s.store.Scan(ctx, req)
		if err != nil {
			return fmt.Errorf("reading strays: %w", err)
		}
		p.cells = page.Cells
		if len(p.cells) > 0 {
			if err := s.by.hand(ctx, p, same); err != nil {
				return err
			}
			s.returned(len(p.cells), pageBytes(p.cells))
		}
		if len(page.Next) == 0 {
			return nil
		}
		req.After = page.Next
		if err := s.opts.Pace.Wait(ctx, pageBytes(p.cells)); err != nil {
			return err
		}
	}
}
