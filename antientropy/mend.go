package antientropy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

const (
	// mendAgain is when what could not be mended is tried again, and lostAgain
	// when others are asked once more for what none of them held.
	mendAgain = time.Second
	lostAgain = 15 * time.Second
	// mendTimeout bounds asking one owner for one cell.
	mendTimeout = 2 * time.Second
	// What is put in place at once: so many cells, of so many bytes, asked for
	// within so long. Each time costs an incarnation.
	mendCells = 64
	mendBytes = 16 << 20
	mendTime  = time.Second
)

// Mendable is this node's replica, as far as its damaged rows go.
// *replica.Replica is one.
type Mendable interface {
	DamageDue() <-chan struct{}
	Damaged(lost bool) []replica.Key
	Mend(ctx context.Context, remedies []replica.Remedy) (mended int, err error)
}

// MenderOptions configure a Mender.
type MenderOptions struct {
	Self   string
	W      int          // the quorum that writes here are acknowledged at
	Pace   Pace         // nil: as fast as the others answer
	Logger *slog.Logger // nil: discard
}

// Mender puts what the other owners hold in the place of damaged rows, as soon
// as they are known.
//
// It asks as many of them as it takes to meet each write that this node may have
// acknowledged together with others. One whose own row is damaged has nothing
// more to say. Where all have answered and none holds the cell it is lost: the
// row stays, as an error to who reads it, until something is written there.
type Mender struct {
	opts  MenderOptions
	log   *slog.Logger
	store Mendable
	peers Peers
	views Views
}

// NewMender returns a mender that does nothing before Run.
func NewMender(o MenderOptions, store Mendable, peers Peers, views Views) *Mender {
	if o.Pace == nil {
		o.Pace = unpaced{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Mender{opts: o, log: o.Logger, store: store, peers: peers, views: views}
}

// Run mends until ctx ends.
func (m *Mender) Run(ctx context.Context) error {
	again, lost := time.NewTicker(mendAgain), time.NewTicker(lostAgain)
	defer again.Stop()
	defer lost.Stop()
	for {
		select {
		case <-m.store.DamageDue():
			m.mend(ctx, false)
		case <-again.C:
			m.mend(ctx, false)
		case <-lost.C:
			m.mend(ctx, true)
		case <-ctx.Done():
			return nil
		}
	}
}

// mend tries the cells that wait for it, or those that are lost.
func (m *Mender) mend(ctx context.Context, lost bool) {
	keys := m.store.Damaged(lost)
	for len(keys) > 0 && ctx.Err() == nil {
		r := m.views.View().Ring
		if r == nil {
			return
		}
		var b remedies
		for len(keys) > 0 && !b.full() {
			k := keys[0]
			keys = keys[1:]
			read := time.Now()
			cell, err := m.fetch(ctx, r.Lookup(k.Slot), k)
			switch {
			case err != nil:
				m.log.Debug("a damaged row cannot be mended yet", "slot", k.Slot, "err", err)
			case cell == nil && lost: // it is known
			default:
				b.add(k, cell, read)
			}
		}
		if len(b.all) == 0 {
			continue
		}
		n, err := m.store.Mend(ctx, b.all)
		if n > 0 {
			m.log.Info("damaged rows were replaced by what the other owners hold", "rows", n)
		}
		if err != nil && ctx.Err() == nil {
			m.log.Warn("damaged rows could not be replaced, will try again", "err", err)
		}
	}
}

// remedies are what is to be put in place together.
type remedies struct {
	all   []replica.Remedy
	cells int
	bytes int
	began time.Time
}

func (b *remedies) full() bool {
	return b.cells >= mendCells || b.bytes >= mendBytes || b.cells > 0 && time.Since(b.began) >= mendTime
}

// add takes in a cell, nil for one that nobody holds. Keys come in the order of
// their slots.
func (b *remedies) add(k replica.Key, cell *version.Cell, read time.Time) {
	if b.cells == 0 {
		b.began = read
	}
	if n := len(b.all); n == 0 || b.all[n-1].Slot != k.Slot {
		b.all = append(b.all, replica.Remedy{Slot: k.Slot, Read: read})
	}
	r := &b.all[len(b.all)-1]
	if b.cells++; cell == nil {
		r.Lost = append(r.Lost, k)
		return
	}
	b.bytes += len(cell.Bytes())
	r.Cells = append(r.Cells, replica.KeyedCell{Key: k, Cell: cell})
}

// errTooFew: fewer owners have answered than a cell has to be asked of.
var errTooFew = errors.New("too few of the other owners answer")

// fetch returns what the other owners hold of a cell, merged: nil if all of them
// have answered, and none holds it.
func (m *Mender) fetch(ctx context.Context, p *ring.Preference, k replica.Key) (cell *version.Cell, err error) {
	others, got := 0, 0
	var failed error
	for _, owner := range p.Owners {
		if owner == m.opts.Self {
			continue
		}
		others++
		c, err := m.ask(ctx, owner, k)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		got++
		cell = version.Merge(cell, c)
	}
	need := min(others, sources(p, m.opts.W))
	if cell == nil {
		need = others
	}
	if got < need {
		return nil, fmt.Errorf("%w: %d of %d: %w", errTooFew, got, need, failed)
	}
	return cell, nil
}

// ask returns what one owner holds of a cell, its hints included.
func (m *Mender) ask(ctx context.Context, owner string, k replica.Key) (*version.Cell, error) {
	if !m.peers.Up(owner) {
		return nil, fmt.Errorf("%s is down", owner)
	}
	ctx, cancel := context.WithTimeout(ctx, mendTimeout)
	defer cancel()
	body, err := ask(ctx, m.peers, owner, replica.KindRead, replica.AppendRead(nil, []replica.Ask{{Key: k}}, false))
	var remote *peer.RemoteError
	if errors.As(err, &remote) && remote.Code == replica.CodeDamaged {
		return nil, nil // its copy is no more: it has nothing to add
	}
	if err != nil {
		return nil, err
	}
	answers, err := replica.DecodeAnswers(nil, body, 1)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", owner, err)
	}
	return answers[0].Cell, m.opts.Pace.Wait(ctx, len(body))
}
