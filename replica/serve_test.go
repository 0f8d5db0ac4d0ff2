package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// answers stands in for a peer's request: it collects how it is answered.
type answers struct{ ch chan answered }

type answered struct {
	body []byte
	code peer.Code
	err  string
}

func newAnswers() answers { return answers{make(chan answered, 1)} }

func (a answers) Reply(body []byte) { a.ch <- answered{body: bytes.Clone(body)} }

func (a answers) Fail(code peer.Code, text string) { a.ch <- answered{code: code, err: text} }

// ask sends a request whose body is gone as soon as the handler has returned.
func (g *rig) ask(kind uint8, body []byte) answered {
	a := newAnswers()
	if !g.serve(kind, body, g.clock.Now(), a) {
		g.t.Fatalf("kind %d is not served", kind)
	}
	for i := range body {
		body[i] = 0xff
	}
	return <-a.ch
}

// read asks for keys and returns the answers.
func (g *rig) read(t rapid.TB, asks []Ask, stripped bool) []Answer {
	t.Helper()
	r := g.ask(KindRead, AppendRead(nil, asks, stripped))
	if r.err != "" {
		t.Fatal(r.err)
	}
	out, err := DecodeAnswers(nil, r.body, len(asks))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestServeApplyAndRead: cells arrive by one request and are compared and
// fetched by another, whether the cache has them or not.
func TestServeApplyAndRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cache := rapid.SampledFrom([]int64{-1, 4 << 20}).Draw(t, "cache")
		g := startRig(t, storage.Options{}, Options{CacheBytes: cache, Lanes: rapid.IntRange(1, 2).Draw(t, "lanes")})
		defer g.close()
		model := map[string]*version.Cell{}
		for range rapid.IntRange(1, 4).Draw(t, "requests") {
			cells := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) KeyedCell {
				return KeyedCell{keyOf(rapid.IntRange(0, 5).Draw(t, "key")), drawCell(t)}
			}), 0, 6).Draw(t, "cells")
			if r := g.ask(KindApply, AppendApply(nil, cells)); r.err != "" {
				t.Fatal(r.err)
			}
			for _, kc := range cells {
				model[string(kc.Key.Key)] = version.Merge(model[string(kc.Key.Key)], kc.Cell)
			}
		}
		asks := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Ask {
			a := Ask{Key: keyOf(rapid.IntRange(0, 7).Draw(t, "key"))}
			if rapid.Bool().Draw(t, "known") {
				a.Digest = model[string(a.Key.Key)].Digest()
			}
			return a
		}), 0, 10).Draw(t, "asks")
		stripped := rapid.Bool().Draw(t, "stripped")
		for i, got := range g.read(t, asks, stripped) {
			want := model[string(asks[i].Key.Key)]
			switch {
			case want.Digest() == asks[i].Digest:
				if got.Status != Same {
					t.Fatalf("ask %d: %v, want Same", i, got)
				}
			case want == nil:
				if got.Status != Absent {
					t.Fatalf("ask %d: %v, want Absent", i, got)
				}
			default:
				if stripped {
					want = want.Stripped()
				}
				if got.Status != Found || !bytes.Equal(got.Cell.Bytes(), want.Bytes()) {
					t.Fatalf("ask %d: %v, want %v", i, got, want)
				}
			}
		}
	})
}

// TestServeReadInline: what the cache knows is answered before the handler
// returns, what it does not know is not waited for.
func TestServeReadInline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := startRig(t, storage.Options{}, Options{})
		if _, err := g.update(put(keyOf(1), "v")); err != nil {
			t.Fatal(err)
		}
		resume := g.pause(Options{})
		a := newAnswers()
		g.serve(KindRead, AppendRead(nil, []Ask{{Key: keyOf(1)}}, false), 0, a)
		if len(a.ch) != 0 || g.Stats().Jobs != 1 {
			t.Error("a cold cell was read by the handler")
		}
		_ = g.get(keyOf(1))
		a = newAnswers()
		g.serve(KindRead, AppendRead(nil, []Ask{{Key: keyOf(1)}}, false), 0, a)
		if len(a.ch) != 1 {
			t.Error("a hot cell was not answered at once")
		}
		resume()
		g.close()
	})
}

// TestServeLater: an answer that is full says so, and asking again ends.
func TestServeLater(t *testing.T) {
	g := startRig(t, storage.Options{Durability: storage.Interval}, Options{})
	defer g.close()
	const n = 5
	asks := make([]Ask, n)
	value := strings.Repeat("x", maxAnswerBytes/3)
	for i := range asks {
		asks[i].Key = keyOf(i)
		if _, err := g.update(put(keyOf(i), value)); err != nil {
			t.Fatal(err)
		}
	}
	rounds := 0
	for ; len(asks) > 0; rounds++ {
		var later []Ask
		for i, a := range g.read(t, asks, false) {
			switch {
			case a.Status == Later:
				later = append(later, asks[i])
			case a.Status != Found || len(a.Cell.Versions[0].Value) != len(value):
				t.Fatalf("round %d: %v", rounds, a.Status)
			}
		}
		if len(later) == len(asks) {
			t.Fatal("no progress")
		}
		asks = later
	}
	if rounds < 2 {
		t.Error("everything came at once")
	}
}

// drawKeys returns writes of strings and of fields, some of them deletes, and
// the slots of the keys that are alive afterwards.
func drawKeys(t *rapid.T) (ops []Update, alive map[string]uint16) {
	alive = map[string]uint16{}
	for i := range rapid.IntRange(0, 40).Draw(t, "keys") {
		slot := rapid.SampledFrom([]int{0, 1, 500, storage.Slots - 1}).Draw(t, "slot")
		k := Key{Slot: uint16(slot), Key: fmt.Appendf(nil, "k%d\x00%d", i%7, i)}
		if i%5 == 4 {
			k = Key{Slot: uint16(i % 2), Key: fmt.Appendf(nil, "h%d", i%2), Field: fmt.Append(nil, i)}
		}
		u := put(k, "value")
		if rapid.IntRange(0, 3).Draw(t, "deleted") == 0 {
			u.Change = Change{Kind: Delete}
		} else {
			alive[string(k.Key)] = k.Slot
		}
		ops = append(ops, u)
	}
	return ops, alive
}

// TestScan: the pages of a range are its cells, each once, in the store's order.
func TestScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := startRig(t, storage.Options{Durability: storage.Interval}, Options{})
		defer g.close()
		ops, alive := drawKeys(t)
		if _, err := g.update(ops...); err != nil {
			t.Fatal(err)
		}
		s := ScanRequest{
			First:    uint16(rapid.SampledFrom([]int{0, 1, 2}).Draw(t, "first")),
			Last:     uint16(rapid.SampledFrom([]int{2, 500, storage.Slots - 1}).Draw(t, "last")),
			Limit:    rapid.IntRange(0, 5).Draw(t, "limit"),
			Stripped: rapid.Bool().Draw(t, "stripped"),
		}
		want := map[string]*version.Cell{}
		for i := range ops {
			if k := ops[i].Key; k.Slot >= s.First && k.Slot <= s.Last {
				want[string(storage.AppendRow(nil, k.Slot, k.Key, k.Field))] = g.get(k)
			}
		}
		var before []byte
		for {
			r := g.ask(KindScan, AppendScan(nil, s))
			page, err := DecodePage(r.body)
			if r.err != "" || err != nil || s.Limit > 0 && len(page.Cells) > s.Limit {
				t.Fatal(r.err, err, len(page.Cells))
			}
			for _, kc := range page.Cells {
				row := storage.AppendRow(nil, kc.Key.Slot, kc.Key.Key, kc.Key.Field)
				cell := want[string(row)]
				if cell == nil || bytes.Compare(before, row) >= 0 {
					t.Fatalf("unexpected row %q after %q", row, before)
				}
				if kc.Cell.Digest() != cell.Digest() || s.Stripped == bytes.Contains(kc.Cell.Bytes(), []byte("value")) && bytes.Contains(cell.Bytes(), []byte("value")) {
					t.Fatalf("row %q: %v, want %v", row, kc.Cell, cell)
				}
				delete(want, string(row))
				before = row
			}
			if s.After = page.Next; len(s.After) == 0 {
				break
			}
		}
		if len(want) > 0 {
			t.Fatalf("%d cells were left out", len(want))
		}
		count := uint64(0)
		for _, slot := range alive {
			if slot >= s.First && slot <= s.Last {
				count++
			}
		}
		r := g.ask(KindCount, AppendCount(nil, CountRequest{Ranges: []SlotRange{{s.First, s.Last}, {0, s.First}}, Now: g.now()}))
		got, err := DecodeCounted(r.body, 2)
		if err != nil || got[0].Live != count || got[0].Hash != g.RangeHash(s.First, s.Last) {
			t.Fatalf("counted %v, want %d: %v", got, count, err)
		}
	})
}

// TestServeRefuses: each failure has its code, and nothing is answered twice.
func TestServeRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := &faultyFS{FS: vfs.NewMem()}
		fs.free.Store(1 << 30)
		g := startRig(t, storage.Options{FS: fs, MinFreeBytes: 1 << 20}, Options{})
		f := newForeign(7, 0)
		f.put(t, "v")
		apply := func() []byte { return AppendApply(nil, []KeyedCell{{keyOf(1), f.cell}}) }
		expect := func(what string, r answered, code peer.Code) {
			t.Helper()
			if r.code != code || code != 0 && r.err == "" {
				t.Errorf("%s: code %d %q, want %d", what, r.code, r.err, code)
			}
		}
		for _, kind := range []uint8{KindApply, KindRead, KindScan, KindCount, KindHint, KindInspect, KindCollect} {
			expect("garbage", g.ask(kind, []byte{9, 9, 9}), CodeMalformed)
			expect("nothing", g.ask(kind, nil), CodeMalformed)
		}
		damaged := apply()
		damaged[len(damaged)-len(f.cell.Bytes())+20] ^= 1
		expect("a damaged cell", g.ask(KindApply, damaged), CodeMalformed)
		if g.get(keyOf(1)) != nil {
			t.Error("a damaged cell was applied")
		}
		for _, kind := range []uint8{0, KindExec, KindHistory, KindStatus, 255} {
			if g.serve(kind, nil, 0, newAnswers()) {
				t.Errorf("kind %d is served", kind)
			}
		}
		fs.free.Store(1)
		time.Sleep(2 * time.Second)
		expect("a full disk", g.ask(KindApply, apply()), CodeRefused)
		fs.free.Store(1 << 30)
		time.Sleep(2 * time.Second)
		expect("space again", g.ask(KindApply, apply()), 0)
		g.halt()
		expect("after the end", g.ask(KindApply, apply()), CodeClosed)
		expect("after the end", g.ask(KindScan, AppendScan(nil, ScanRequest{})), CodeOverloaded)
		expect("after the end", g.ask(KindRead, AppendRead(nil, []Ask{{Key: keyOf(2)}}, false)), 0)
		if err := g.store.Close(); err != nil {
			t.Fatal(err)
		}
		expect("without a store", g.ask(KindRead, AppendRead(nil, []Ask{{Key: keyOf(3)}}, false)), CodeClosed)
	})
}

// TestPool: jobs beyond the bound are refused, queued ones are all done.
func TestPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pool
		p.init()
		done := 0
		for i := range maxJobs + 1 {
			if ok := p.try(func(context.Context) { done++ }); ok != (i < maxJobs) {
				t.Errorf("job %d: %v", i, ok)
			}
		}
		go p.work(t.Context())
		synctest.Wait()
		if done != maxJobs || p.len() != 0 {
			t.Errorf("%d jobs done, %d left", done, p.len())
		}
		p.close()
		if p.try(func(context.Context) {}) {
			t.Error("a closed pool takes jobs")
		}
	})
}

// connect runs a serving and a calling node over loopback, until the test ends.
func connect(t *testing.T, h peer.Handler) (call func(kind uint8, body []byte) ([]byte, error)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := peer.New(peer.Options{Self: peer.Identity{Cluster: 1, Name: "server", Actor: 1}, Listener: l}, h)
	client := peer.New(peer.Options{Self: peer.Identity{Cluster: 1, Name: "client", Actor: 2}}, nil)
	client.SetPeers(map[string]string{"server": l.Addr().String()})
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = server.Run(ctx) })
	done.Go(func() { _ = client.Run(ctx) })
	t.Cleanup(func() { stop(); done.Wait() })
	for !client.Up("server") {
		time.Sleep(time.Millisecond)
	}
	return func(kind uint8, body []byte) ([]byte, error) {
		var out []byte
		ended := make(chan error)
		client.Call("server", peer.Foreground, kind, body, time.Now().Add(10*time.Second), func(r peer.Reply) {
			out = bytes.Clone(r.Body)
			ended <- r.Err
		})
		err := <-ended
		return out, err
	}
}

// TestOverPeers serves requests that come over a real connection.
func TestOverPeers(t *testing.T) {
	g := startRig(t, storage.Options{}, Options{})
	defer g.close()
	call := connect(t, func(r *peer.Request) {
		if !g.Serve(r) {
			r.Fail(CodeOthers, "unknown kind")
		}
	})
	f := newForeign(7, 0)
	for i := range 20 {
		f.put(t, "theirs")
		k := keyOf(i % 3)
		if _, err := call(KindApply, AppendApply(nil, []KeyedCell{{k, f.cell}})); err != nil {
			t.Fatal(err)
		}
		body, err := call(KindRead, AppendRead(nil, []Ask{{Key: k}}, false))
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeAnswers(nil, body, 1)
		if err != nil || !covers(got[0].Cell, f.cell) {
			t.Fatalf("read %v %v", got, err)
		}
	}
	var remote *peer.RemoteError
	if _, err := call(KindRead, []byte("?")); !errors.As(err, &remote) || remote.Code != CodeMalformed {
		t.Errorf("a malformed request: %v", err)
	}
	if _, err := call(KindStatus, nil); !errors.As(err, &remote) || remote.Code != CodeOthers {
		t.Errorf("another's kind: %v", err)
	}
}
