package blackbox

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// wantSiblings fails the test unless the node, asked of every replica, shows
// just these values with these clocks, in any order.
func wantSiblings(t *testing.T, s *server, key string, want ...string) (context string) {
	t.Helper()
	context, siblings := s.dget(key, "R", 3)
	var got []string
	for _, v := range siblings {
		got = append(got, v.String())
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("%s shows %s as %q, want %q", s.name, key, got, want)
	}
	return context
}

// TestFigure3 replays figure 3 of the paper by hand: the nodes n1, n2 and n3
// are its Sx, Sy and Sz, each an owner of the key, so each coordinates what it
// is asked to write.
func TestFigure3(t *testing.T) {
	c := startCluster(t, 3)
	sx, sy, sz := c.n(1), c.n(2), c.n(3)

	d1 := sx.dput("cart", "D1", "")
	wantSiblings(t, sy, "cart", "D1 [(n1,1)]")

	d2 := sx.dput("cart", "D2", d1)
	if d2 == d1 {
		t.Fatal("a write left the context as it was")
	}
	context := wantSiblings(t, sz, "cart", "D2 [(n1,2)]")

	sy.dput("cart", "D3", context)
	sz.dput("cart", "D4", d2) // the context that D2's writer got is as good as a read
	for _, s := range c.nodes {
		context = wantSiblings(t, s, "cart", "D3 [(n1,2),(n2,1)]", "D4 [(n1,2),(n3,1)]")
	}

	sx.dput("cart", "D5", context)
	for _, s := range c.nodes {
		wantSiblings(t, s, "cart", "D5 [(n1,3),(n2,1),(n3,1)]")
	}
}

func TestSiblings(t *testing.T) {
	c := startCluster(t, 3)

	t.Run("a key never written has no context", func(t *testing.T) {
		context, siblings := c.n(2).dget("never")
		if context != "" || len(siblings) != 0 {
			t.Errorf("context %q, siblings %v", context, siblings)
		}
	})

	t.Run("plain writes leave none, plain reads see the newest", func(t *testing.T) {
		c.n(1).dput("k", "left", "")
		c.n(2).dput("k", "right", "")
		for _, s := range c.nodes {
			if got := s.do("GET", "k"); got != "right" {
				t.Errorf("%s: GET = %v, want the newest sibling", s.name, got)
			}
			if _, siblings := s.dget("k", "R", 3); len(siblings) != 2 {
				t.Errorf("%s: siblings %v, want two", s.name, siblings)
			}
		}
		// SET has seen what its coordinator holds: both.
		c.n(3).do("SET", "k", "plain")
		if _, siblings := c.n(1).dget("k", "R", 3); len(siblings) != 1 || siblings[0].value != "plain" {
			t.Errorf("siblings after SET: %v", siblings)
		}
	})

	t.Run("writers chain without reading", func(t *testing.T) {
		context := c.n(1).dput("chain", "1", "")
		for i := 2; i <= 9; i++ {
			context = c.n(1+i%3).dput("chain", fmt.Sprint(i), context)
		}
		if _, siblings := c.n(1).dget("chain", "R", 3); len(siblings) != 1 || siblings[0].value != "9" {
			t.Errorf("siblings %v, want 9 alone", siblings)
		}
	})

	t.Run("a delete replaces what its context has seen only", func(t *testing.T) {
		context := c.n(1).dput("del", "seen", "")
		c.n(2).dput("del", "unseen", "")
		c.n(3).do("DDEL", "del", "CONTEXT", context)
		if _, siblings := c.n(1).dget("del", "R", 3); len(siblings) != 1 || siblings[0].value != "unseen" {
			t.Errorf("siblings %v, want the unseen one", siblings)
		}
		context, _ = c.n(1).dget("del", "R", 3)
		c.n(1).do("DDEL", "del", "CONTEXT", context)
		context, siblings := c.n(2).dget("del", "R", 3)
		if len(siblings) != 0 || context == "" {
			t.Errorf("after the delete: context %q, siblings %v; want a context and nothing", context, siblings)
		}
		if got := c.n(3).do("GET", "del"); got != nil {
			t.Errorf("GET = %v", got)
		}
	})

	t.Run("a context is bound to its key and checked", func(t *testing.T) {
		context := c.n(1).dput("mine", "v", "")
		damaged := []byte(context)
		damaged[len(damaged)/2] ^= 1
		for _, bad := range []string{string(damaged), "nonsense", context[:len(context)-2]} {
			_, err := c.n(1).try("DPUT", "mine", "w", "CONTEXT", bad)
			wantError(t, err, "BADCONTEXT")
		}
		_, err := c.n(1).try("DPUT", "other", "w", "CONTEXT", context)
		wantError(t, err, "BADCONTEXT")
		if _, siblings := c.n(1).dget("mine", "R", 3); len(siblings) != 1 || siblings[0].value != "v" {
			t.Errorf("siblings %v, want v untouched", siblings)
		}
	})

	t.Run("siblings expire each for itself", func(t *testing.T) {
		c.n(1).do("DPUT", "exp", "short", "PX", 200)
		c.n(2).do("DPUT", "exp", "long", "EX", 1000)
		eventually(t, "the short one is gone", func() error {
			_, siblings := c.n(3).dget("exp", "R", 3)
			if len(siblings) != 1 || siblings[0].value != "long" {
				return fmt.Errorf("siblings %v", siblings)
			}
			if ttl := siblings[0].ttl; ttl < 900_000 || ttl > 1_000_000 {
				t.Errorf("ttl %d ms", ttl)
			}
			return nil
		})
	})

	t.Run("limits on siblings are the writer's", func(t *testing.T) {
		var err error
		for i := 0; i < 200 && err == nil; i++ {
			_, err = c.n(1).try("DPUT", "many", fmt.Sprint(i))
		}
		if err == nil || !strings.Contains(err.Error(), "siblings") {
			t.Errorf("200 siblings: %v, want an error that names them", err)
		}
	})

	t.Run("every concurrent writer is heard", func(t *testing.T) {
		const each = 10
		var wg sync.WaitGroup
		for _, s := range c.nodes {
			wg.Go(func() {
				for i := range each {
					if _, err := s.try("DPUT", "crowd", fmt.Sprintf("%s-%d", s.name, i)); err != nil {
						t.Errorf("%s: %v", s.name, err)
					}
				}
			})
		}
		wg.Wait()
		_, siblings := c.n(1).dget("crowd", "R", 3)
		values := map[string]bool{}
		for _, v := range siblings {
			values[v.value] = true
		}
		if len(siblings) != 3*each || len(values) != 3*each {
			t.Errorf("%d siblings of %d values, want %d", len(siblings), len(values), 3*each)
		}
	})
}

// wantError fails the test unless err is a reply that starts with the code.
func wantError(t *testing.T, err error, code string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), code+" ") {
		t.Errorf("error %v, want %s …", err, code)
	}
}
