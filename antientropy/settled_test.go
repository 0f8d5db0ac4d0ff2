package antientropy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynaring/dynaring/replica"
)

func TestUnsettled(t *testing.T) {
	members := []string{"n1", "n2", "n3"}
	rest := func() map[string]Status {
		found := map[string]Status{}
		for _, name := range members {
			s := Status{Node: name, History: 7, Peers: map[string]bool{}}
			for _, other := range members {
				s.Peers[other] = other != name
			}
			found[name] = s
		}
		return found
	}
	if got := Unsettled(members, rest()); got != nil {
		t.Errorf("a cluster at rest: %q", got)
	}
	for name, c := range map[string]struct {
		change func(*Status)
		want   []string
	}{
		"hints": {func(s *Status) {
			s.Hints = []replica.HintStats{{Owner: "n1", Cells: 1, Bytes: 9}, {Owner: "n3", Cells: 2, Bytes: 20, Full: true}, {Owner: "n4", Dropped: 3}}
		}, []string{"n2 keeps 1 cell for n1 (9 bytes)", "n2 keeps 2 cells for n3 (20 bytes)", "n2 could not keep everything for n3, which has to compare everything"}},
		"damage": {func(s *Status) { s.Damage = replica.DamageStats{Found: 9, Now: 2, Lost: 1} },
			[]string{"n2 has 2 damaged rows that the other owners have not replaced yet"}},
		"strays":     {func(s *Status) { s.Strays = 3 }, []string{"n2 holds 3 cells of other nodes' slots"}},
		"a takeover": {func(s *Status) { s.Coming, s.Pulled = 64, 8 }, []string{"n2 has taken over 8 of 64 slots"}},
		"differences": {func(s *Status) { s.Unstepped, s.Lag = 1, 1500*time.Millisecond },
			[]string{"n2 is not known to be in step: 1 slot with another owner, for up to 1.5s"}},
		"sight":   {func(s *Status) { s.Peers["n3"] = false }, []string{"n2 does not see n3"}},
		"history": {func(s *Status) { s.History = 8 }, []string{"n2 knows another history of the ring than n1"}},
	} {
		found := rest()
		s := found["n2"]
		c.change(&s)
		found["n2"] = s
		if got := Unsettled(members, found); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	found := rest()
	delete(found, "n3")
	if got := Unsettled(members, found); !slices.Equal(got, []string{"n3 does not answer"}) {
		t.Errorf("without n3: %q", got)
	}
}

func TestUnsettledIsBounded(t *testing.T) {
	var members []string
	for i := range 3 * maxReasons {
		members = append(members, fmt.Sprintf("n%d", i))
	}
	got := Unsettled(members, nil)
	if len(got) != maxReasons+1 || !strings.Contains(got[maxReasons], fmt.Sprint(2*maxReasons)) {
		t.Errorf("%d reasons, the last %q", len(got), got[len(got)-1])
	}
}
