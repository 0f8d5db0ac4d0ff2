package peer

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// The table of calls in flight behaves as a map does, and never gives an id
// twice.
func TestCallsTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table calls
		model := map[uint64]int64{} // id → deadline
		var gone []uint64
		ever := map[uint64]bool{}
		forget := func(c call) {
			if _, ok := model[c.id]; !ok {
				t.Fatalf("%x was taken, but is not in flight", c.id)
			}
			delete(model, c.id)
			gone = append(gone, c.id)
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				d := rapid.Int64Range(1, 100).Draw(t, "deadline")
				id := table.add(call{done: func(Reply) {}, deadline: d})
				if ever[id] || id == 0 {
					t.Fatalf("id %x was given before", id)
				}
				ever[id], model[id] = true, d
			},
			"take": func(t *rapid.T) {
				if len(model) == 0 {
					t.Skip("none in flight")
				}
				var ids []uint64
				for id := range ever {
					if _, ok := model[id]; ok {
						ids = append(ids, id)
					}
				}
				c, ok := table.take(ids[rapid.IntRange(0, len(ids)-1).Draw(t, "which")])
				if !ok {
					t.Fatal("it is not there")
				}
				forget(c)
			},
			"late": func(t *rapid.T) {
				id := rapid.Uint64().Draw(t, "id")
				if len(gone) > 0 && rapid.Bool().Draw(t, "known") {
					id = rapid.SampledFrom(gone).Draw(t, "gone")
				}
				if _, in := model[id]; in {
					return
				}
				if _, ok := table.take(id); ok {
					t.Fatalf("%x was taken twice", id)
				}
			},
			"expire": func(t *rapid.T) {
				now := rapid.Int64Range(0, 101).Draw(t, "now")
				for _, c := range table.expire(now, nil) {
					if c.deadline > now {
						t.Fatal("expired before its time")
					}
					forget(c)
				}
				for _, d := range model {
					if d <= now {
						t.Fatal("not expired")
					}
				}
			},
			"all": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "rarely") == 0 {
					for _, c := range table.takeAll() {
						forget(c)
					}
				}
			},
			"": func(t *rapid.T) {
				if table.n != len(model) {
					t.Fatalf("%d in flight, counted %d", len(model), table.n)
				}
				earliest := int64(math.MaxInt64)
				for _, d := range model {
					earliest = min(earliest, d)
				}
				if table.n > 0 && table.earliest > earliest {
					t.Fatalf("the earliest deadline is %d, not %d", earliest, table.earliest)
				}
			},
		})
	})
}
