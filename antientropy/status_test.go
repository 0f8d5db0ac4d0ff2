package antientropy

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/dynaring/dynaring/replica"
)

// A status arrives as it was sent.
func TestStatusCodec(t *testing.T) {
	s := Status{
		Node: "n1", Peers: map[string]bool{"n2": true, "n3": false},
		Hints:  []replica.HintStats{{Owner: "n3", Cells: 3, Bytes: 99, Oldest: 1700000000000, Full: true, Stored: 5, Dropped: 2}},
		Strays: 1, Unstepped: 7, Lag: 90 * time.Second, Coming: 64, Pulled: 32,
		LastFull: map[string]time.Time{"n2": time.Unix(1700000000, 5).UTC()},
		Exchange: ExchangeStatus{Compared: 1, Differed: 2, Sent: 3, Received: 4, Bytes: 5},
		Scrub:    ScrubStatus{Slots: 9, LeavesWrong: 1, RowsDamaged: 2, Last: time.Unix(1700000001, 0).UTC()},
		Collect:  CollectStatus{Collected: 8, Waiting: 2, HeldUp: "n3 is down"},
		Slices:   0.25,
	}
	got, err := DecodeStatus(s.Encode())
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("%+v became %+v, %v", s, got, err)
	}
	if got, err := DecodeStatus([]byte(`{"Node":"n1","Later":{"x":1}}`)); err != nil || got.Node != "n1" {
		t.Errorf("a newer node's status: %+v, %v", got, err)
	}
	if _, err := DecodeStatus([]byte("no status")); !errors.Is(err, replica.ErrMalformed) {
		t.Errorf("want a malformed message, got %v", err)
	}
}
