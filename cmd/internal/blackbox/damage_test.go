package blackbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Of what is on a disk that gets damaged: enough for tables of many blocks.
const (
	damageKeys  = 3000
	damageBytes = 1000
)

func damageKey(i int) string { return fmt.Sprintf("damage:%d", i) }

// damageValue is incompressible enough for a flipped bit to matter anywhere.
func damageValue(i int) string {
	return strings.Repeat(fmt.Sprintf("%d,", i), damageBytes)[:damageBytes]
}

// TestDamagedDisk: bytes of a node's files are not what was written. It never
// answers anything wrong: as soon as it notices it ends, says which file it is
// and what to do, and doing it brings everything back.
func TestDamagedDisk(t *testing.T) {
	for _, k := range []struct {
		name, files string
		running     bool
		damage      func(s *server, pattern string)
	}{
		{"tables of a node that is stopped", "*.sst", false, (*server).damage},
		{"tables of a node that runs", "*.sst", true, (*server).damage},
		{"the log of a node that is stopped", "*.log", false, (*server).damage},
		{"the end of the log of a node that is stopped", "*.log", false, (*server).damageEnd},
		{"the manifest of a node that is stopped", "MANIFEST-*", false, (*server).damage},
		{"the end of the manifest of a node that is stopped", "MANIFEST-*", false, (*server).damageEnd},
	} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			c := startCluster(t, 3)
			n3 := c.n(3)
			for i := range damageKeys {
				eventually(t, "SET "+damageKey(i), func() error { // the machine may be busy
					_, err := c.n(1).try("SET", damageKey(i), damageValue(i))
					return err
				})
			}
			lab := &labCluster{cluster: c}
			lab.settle()
			n3.terminate()
			if k.files == "*.sst" { // what is in the log is in tables after the next start
				n3.start()
				c.waitReady()
				if !k.running {
					n3.terminate()
				}
			}
			k.damage(n3, k.files)
			if !k.running {
				n3.start()
			}
			n3.readUntilItEnds()
			if code := n3.wait(); code <= 0 {
				t.Errorf("n3 ended with exit code %d, want one that says that it failed", code)
			}
			wantLastWords(t, n3, n3.dataDir(), "damaged", "--join", "empty")
			lab.wipe(n3)
			n3.start()
			lab.settle()
			for i := range damageKeys {
				if got := n3.local(damageKey(i)); got != damageValue(i) {
					t.Fatalf("n3, refilled: %s is %q", damageKey(i), got)
				}
			}
		})
	}
}

// damage flips bits in the middle of each of a node's files of that kind.
func (s *server) damage(pattern string) {
	s.t.Helper()
	middle := func(size int64) int64 { return size / 2 }
	files := slices.DeleteFunc(s.files(pattern), func(name string) bool { return !flip(s.t, name, middle) })
	if len(files) == 0 {
		s.t.Fatalf("%s has no file %s that could be damaged", s.name, pattern)
	}
}

// damageEnd flips bits in what was written last to the newest of a node's files
// of that kind.
func (s *server) damageEnd(pattern string) {
	s.t.Helper()
	name := slices.Max(s.files(pattern))
	if !flip(s.t, name, func(size int64) int64 { return max(0, size-48) }) {
		s.t.Fatalf("%s is too short to be damaged", name)
	}
}

// files returns the node's files of that kind; there are some.
func (s *server) files(pattern string) []string {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dataDir(), pattern))
	if err != nil || len(files) == 0 {
		s.t.Fatalf("%s has no file %s: %v", s.name, pattern, err)
	}
	return files
}

// flip flips bits somewhere in a file, and reports whether it is large enough.
func flip(t testing.TB, name string, where func(size int64) int64) bool {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	var b [16]byte
	at := where(info.Size())
	if n, _ := f.ReadAt(b[:], at); n < len(b) {
		return false
	}
	for i := range b {
		b[i] ^= 0x55
	}
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	return true
}

// readUntilItEnds reads every key through a node and from its own disk, again
// and again, until it has ended. What it answers has to be right.
func (s *server) readUntilItEnds() {
	s.t.Helper()
	round := 0
	eventually(s.t, s.name+" notices the damage", func() error {
		round++
		for i := range damageKeys {
			if !s.alive() {
				return nil
			}
			if got, err := s.try("GET", damageKey(i)); err == nil && got != damageValue(i) {
				s.t.Fatalf("%s answers %q for %s", s.name, got, damageKey(i))
			}
			_, _ = s.try("DGET", damageKey(i), "LOCAL")
		}
		return fmt.Errorf("it is alive after %d rounds of reads", round)
	})
}

// local is what the node's own disk has of a key: one value, more than once if
// it was written again because the first answer was uncertain.
func (s *server) local(key string) string {
	s.t.Helper()
	reply, ok := s.do("DGET", key, "LOCAL").([]any)
	if !ok || len(reply) != 2 {
		s.t.Fatalf("%s: DGET %s LOCAL: %v", s.name, key, reply)
	}
	siblings := slices.Compact(reply[1].([]any))
	if len(siblings) != 1 {
		s.t.Fatalf("%s: DGET %s LOCAL: %v", s.name, key, reply)
	}
	return fmt.Sprint(siblings[0])
}
