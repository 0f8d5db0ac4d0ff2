package sim

import (
	"maps"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

// TestAudit changes what the disks of a cluster hold in every way that a law
// forbids, and demands that it is found.
func TestAudit(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	synctest.Test(t, func(t *testing.T) {
		s := &scenario{sessions: make(map[string]*Client)}
		defer s.close(t)
		c := NewCluster(Options{Seed: 1})
		s.cluster = c
		for _, name := range []string{"n1", "n2", "n3", "n4"} {
			if err := c.Start(name); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.AwaitReady(); err != nil {
			t.Fatal(err)
		}
		h := NewHistory()
		session := NewSession(c.Net.Host("c1", "127.0.1.1"), h, 2, 2)
		session.Use(c.Node("n1"))
		put := &Op{Kind: DPut, Key: "k", Value: "v"}
		session.Do(put)
		session.Do(&Op{Kind: DPut, Key: "dead", Value: "v"})
		session.Do(&Op{Kind: DDel, Key: "dead", Given: &h.Ops()[1].Got})
		session.Close()
		time.Sleep(settle)
		disks, err := c.stopAndRead()
		if err != nil {
			t.Fatal(err)
		}
		judge(t, disks, h.Ops())
	})
}

// settle is longer than a straggler takes.
const settle = time.Second

func judge(t *testing.T, disks Holdings, ops []*Op) {
	t.Helper()
	r, err := disks.Ring()
	if err != nil {
		t.Fatal(err)
	}
	owners := r.Lookup(ring.Slot([]byte("k"))).Owners
	other := r.Lookup(ring.Slot([]byte("k"))).Fallbacks[0]
	old := version.NewCell([]version.Version{{Dot: version.Dot{Actor: version.Actor{ID: 7}, Counter: 1}, Time: 1, Value: []byte("old")}}, nil)
	deleted := disks[r.Lookup(ring.Slot([]byte("dead"))).Owners[0]].Cells["dead"]
	gone := version.NewCell([]version.Version{{Dot: *firstDot(ops, DPut, "dead"), Time: 1, Value: []byte("v")}}, nil)
	for name, tc := range map[string]struct {
		change func(h Holdings)
		want   string
	}{
		"nothing":           {func(Holdings) {}, ""},
		"missing":           {func(h Holdings) { delete(h[owners[1]].Cells, "k") }, "the owners of k differ"},
		"different":         {func(h Holdings) { h[owners[2]].Cells["k"] = old }, "the owners of k differ"},
		"lost":              {func(h Holdings) { every(h, func(c Cells) { delete(c, "k") }) }, "no disk holds"},
		"a hint":            {func(h Holdings) { h[other].Hints = map[string]Cells{owners[0]: {"k": old}} }, "still has a hint"},
		"a stray":           {func(h Holdings) { h[other].Cells["k"] = h[owners[0]].Cells["k"] }, "of which it is no owner"},
		"another history":   {func(h Holdings) { h[other].History, _ = ring.NewHistory() }, "different histories"},
		"wrong leaves":      {func(h Holdings) { h[other].Wrong = []string{"slot 7"} }, "keeps wrong leaves"},
		"half collected":    {func(h Holdings) { delete(h[r.Lookup(ring.Slot([]byte("dead"))).Owners[1]].Cells, "dead") }, ""},
		"collected":         {func(h Holdings) { every(h, func(c Cells) { delete(c, "dead") }) }, ""},
		"a deleted value":   {func(h Holdings) { every(h, func(c Cells) { c["dead"] = gone }) }, "which an acknowledged write has replaced"},
		"a tombstone alone": {func(h Holdings) { delete(h[owners[0]].Cells, "k"); h[owners[0]].Cells["k"] = deleted }, "the owners of k differ"},
	} {
		changed := make(Holdings)
		for node, contents := range disks {
			changed[node] = &Contents{Cells: maps.Clone(contents.Cells), History: contents.History}
		}
		tc.change(changed)
		broken := Audit(Rules{N: 3, Durable: true}, changed, ops, time.Now().UnixMilli())
		got := strings.Join(broken, "\n")
		if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
			t.Errorf("%s: want %q, got\n%s", name, tc.want, got)
		}
	}
}

func every(h Holdings, change func(Cells)) {
	for _, contents := range h {
		if len(contents.Cells) > 0 {
			change(contents.Cells)
		}
	}
}

// firstDot returns the dot of the first acknowledged operation of a kind.
func firstDot(ops []*Op, kind Kind, key string) *version.Dot {
	for _, o := range ops {
		if d, ok := o.dot(); ok && o.Kind == kind && o.Key == key {
			return &d
		}
	}
	return nil
}
