package blackbox

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// TestOneOfThreeKilled: with W = R = 2 a cluster of three does not notice the
// death of one, and gets it back without an operator.
func TestOneOfThreeKilled(t *testing.T) {
	c := startCluster(t, 3)
	for i := range 50 {
		c.n(1+i%3).do("SET", key(i), "before")
	}
	c.n(1).kill()
	for i := range 50 {
		s := c.n(2 + i%2)
		if got := s.do("GET", key(i)); got != "before" {
			t.Fatalf("%s: GET %s = %v after the death of n1", s.name, key(i), got)
		}
		s.do("SET", key(i), "after")
		s.do("INCR", "counter")
	}
	eventually(t, "n2 sees that n1 is down", func() error {
		members, err := c.n(2).members()
		if err != nil {
			return err
		}
		if m := members["n1"]; m["state"] != "down" {
			return fmt.Errorf("n1 is %v", m)
		}
		return nil
	})

	c.n(1).start()
	c.waitReady()
	for i := range 50 {
		if got := c.n(1).do("GET", key(i)); got != "after" {
			t.Fatalf("n1, back again: GET %s = %v", key(i), got)
		}
	}
	if got := c.n(1).do("GET", "counter"); got != "50" {
		t.Errorf("n1, back again: counter = %v, want 50", got)
	}

	// It was not a clean stop, so n1 goes on under its next incarnation.
	c.n(1).dput("fresh", "v", "")
	wantSiblings(t, c.n(2), "fresh", "v [(n1/1,1)]")
	c.n(1).terminate()
	c.n(1).start()
	c.waitReady()
	c.n(1).dput("clean", "v", "")
	wantSiblings(t, c.n(2), "clean", "v [(n1/1,1)]")
}

// TestNoQuorum: with one node of three left a write that needs two is refused,
// not half promised, and reads of one are still there for who asks.
func TestNoQuorum(t *testing.T) {
	c := startCluster(t, 3)
	c.n(1).do("SET", "k", "v")
	c.n(2).kill()
	c.n(3).kill()
	eventually(t, "n1 alone refuses", func() error {
		_, err := c.n(1).try("GET", "k")
		if err == nil || !strings.HasPrefix(err.Error(), "NOQUORUM ") {
			return fmt.Errorf("GET answers %v", err)
		}
		_, err = c.n(1).try("SET", "k", "w")
		if err == nil || !strings.HasPrefix(err.Error(), "NOQUORUM ") && !strings.HasPrefix(err.Error(), "UNCERTAIN ") {
			return fmt.Errorf("SET answers %v", err)
		}
		return nil
	})
	if _, siblings := c.n(1).dget("k", "R", 1); len(siblings) == 0 {
		t.Error("DGET R 1 finds nothing")
	}
	c.n(1).do("DPUT", "alone", "v", "W", 1)
	if _, siblings := c.n(1).dget("alone", "LOCAL"); len(siblings) != 1 {
		t.Errorf("DGET LOCAL: %v", siblings)
	}
}

// TestDataSurvives: whatever was acknowledged is there after every node was
// stopped, or killed, at once.
func TestDataSurvives(t *testing.T) {
	c := startCluster(t, 3)
	write := func(value string) {
		var wg sync.WaitGroup
		for _, s := range c.nodes {
			wg.Go(func() {
				for i := range 100 {
					if _, err := s.try("SET", s.name+key(i), value); err != nil {
						t.Errorf("%s: %v", s.name, err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	check := func(value string) {
		t.Helper()
		for i, s := range c.nodes {
			reader := c.nodes[(i+1)%3]
			for i := range 100 {
				if got := reader.do("GET", s.name+key(i)); got != value {
					t.Fatalf("%s: GET %s = %v, want %s", reader.name, s.name+key(i), got, value)
				}
			}
		}
	}

	write("clean")
	for _, s := range c.nodes {
		s.terminate()
	}
	for _, s := range c.nodes {
		s.start()
	}
	c.waitReady()
	check("clean")
	c.n(1).dput("clock", "v", "")
	wantSiblings(t, c.n(2), "clock", "v [(n1,1)]")

	write("killed")
	for _, s := range c.nodes {
		s.kill()
	}
	for _, s := range c.nodes {
		s.start()
	}
	c.waitReady()
	check("killed")
	c.n(1).dput("clock2", "v", "")
	wantSiblings(t, c.n(2), "clock2", "v [(n1/1,1)]")
}

// TestIncrementsAreUnique: without failures the increments of a key are one
// after another, wherever they are sent.
func TestIncrementsAreUnique(t *testing.T) {
	c := startCluster(t, 3)
	const writers, each = 2, 50
	var mu sync.Mutex
	seen := map[any]int{}
	var wg sync.WaitGroup
	for _, s := range c.nodes {
		for range writers {
			wg.Go(func() {
				for range each {
					n, err := s.try("INCR", "visits")
					if err != nil {
						t.Errorf("%s: %v", s.name, err)
						return
					}
					mu.Lock()
					seen[n]++
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	total := int64(3 * writers * each)
	for n := int64(1); n <= total; n++ {
		if seen[n] != 1 {
			t.Errorf("%d was answered %d times", n, seen[n])
		}
	}
	for _, s := range c.nodes {
		if got := s.do("GET", "visits"); got != fmt.Sprint(total) {
			t.Errorf("%s: GET = %v, want %d", s.name, got, total)
		}
	}
}

// TestStopUnderLoad: a clean stop finishes what it has begun, and nothing that
// was acknowledged by anybody is lost.
func TestStopUnderLoad(t *testing.T) {
	c := startCluster(t, 3)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	acked := make([]int, 4)
	for w := range acked {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := c.n(1+w%2).try("SET", fmt.Sprintf("w%d-%d", w, i), "v"); err != nil {
					return // n1 is stopping
				}
				acked[w] = i + 1
			}
		})
	}
	eventually(t, "the load runs", func() error {
		if got, _ := c.n(3).try("EXISTS", "w0-20", "w1-20"); got != int64(2) {
			return fmt.Errorf("%v of 2 keys are there", got)
		}
		return nil
	})
	c.n(1).terminate()
	close(stop)
	wg.Wait()
	for w, n := range acked {
		for i := range n {
			if got, err := c.n(3).try("GET", fmt.Sprintf("w%d-%d", w, i)); got != "v" {
				t.Fatalf("write %d of writer %d was acknowledged and is lost: %v %v", i, w, got, err)
			}
		}
	}
}

func key(i int) string { return fmt.Sprintf("key:%d", i) }
