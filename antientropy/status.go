package antientropy

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/dynaring/dynaring/replica"
)

// Status is what one node knows of what is not settled, and of what anti-entropy
// has done there. It is what KindStatus answers.
type Status struct {
	Node    string
	Now     int64           // its wall clock, Unix ms
	History uint64          // digest of the history of the ring that it knows
	Peers   map[string]bool // the other members, as this node sees them: up

	Hints     []replica.HintStats // kept for others
	Strays    int                 // cells in slots of others
	Unstepped int                 // (slot, other owner) pairs that are not known to be in step since the slot's last change
	Lag       time.Duration       // for how long the oldest of those has been so
	Coming    int                 // slots that this node is coming to own
	Pulled    int                 // of those, held by now

	LastFull map[string]time.Time // by other owner: as of when everything shared was last in step
	Exchange ExchangeStatus
	Scrub    ScrubStatus
	Damage   replica.DamageStats
	Collect  CollectStatus
	Handoff  HandoffStatus
	Returned StraysStatus
	Slices   float64 // what the background controller grants now, of 1
}

// Encode returns the status as nodes send it to each other.
func (s *Status) Encode() []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic("antientropy: a status that cannot be written: " + err.Error()) // it holds plain values only
	}
	return b
}

// DecodeStatus reads what Encode wrote. What a newer version has added is
// skipped.
func DecodeStatus(b []byte) (s Status, err error) {
	if err := json.Unmarshal(b, &s); err != nil {
		return Status{}, fmt.Errorf("%w: a node's status: %w", replica.ErrMalformed, err)
	}
	return s, nil
}

// Fill writes the exchange's part of a status.
func (e *Exchange) Fill(s *Status) {
	c := &e.counts
	s.Exchange = ExchangeStatus{
		Compared: c.compared.Load(), Differed: c.differed.Load(),
		Sent: c.sent.Load(), Received: c.received.Load(), Bytes: c.bytes.Load(),
	}
	wall, now := time.Now(), e.store.Uptime()
	s.LastFull = map[string]time.Time{}
	e.mu.Lock()
	defer e.mu.Unlock()
	s.Unstepped, s.Lag = e.schedule.unstepped(now, e.store)
	for name, p := range e.schedule.plans {
		if p.full != never {
			s.LastFull[name] = wall.Add(p.full - now)
		}
	}
}
