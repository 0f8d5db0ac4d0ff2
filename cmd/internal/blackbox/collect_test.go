package blackbox

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// infoNumber reads a number of INFO's dynaring section.
func (s *server) infoNumber(field string) (int64, error) {
	reply, err := s.try("INFO", "dynaring")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(fmt.Sprint(reply)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), field+":"); ok {
			return strconv.ParseInt(value, 10, 64)
		}
	}
	return 0, fmt.Errorf("INFO has no %s", field)
}

// TestDeletesGiveSpaceBack: under a load that deletes and lets expire what it
// writes, the store gets back to its size: no cell is left of what is gone, and
// the disk holds little more than what is there. What was deleted stays so over
// a restart of every node.
func TestDeletesGiveSpaceBack(t *testing.T) {
	const (
		kept   = 200
		rounds = 4
		each   = 1500 // keys a round
		size   = 2 << 10
	)
	c := startCluster(t, 3, "--durability", "interval", "--timeout", "10s")
	value := strings.Repeat("x", size)
	for i := range kept {
		c.n(1).do("SET", "kept:"+key(i), value)
	}
	for round := range rounds {
		for i := range each {
			name := fmt.Sprintf("gone:%d:%d", round, i)
			if i%3 == 0 {
				c.n(1+i%3).do("SET", name, value, "PX", 1500)
				continue
			}
			c.n(1+i%3).do("SET", name, value)
			c.n(1+(i+1)%3).do("DEL", name)
		}
	}
	for _, s := range c.nodes {
		eventually(t, s.name+" holds only what is there", func() error {
			cells, err := s.infoNumber("dynaring_cells")
			if err == nil && cells != kept {
				err = fmt.Errorf("%d cells, want %d", cells, kept)
			}
			return err
		})
	}
	for _, s := range c.nodes {
		s.terminate()
	}
	for _, s := range c.nodes {
		s.start()
	}
	c.waitReady()
	// Opened anew, without logs that were written full and are kept for reuse.
	const live, most = kept * size, kept*size + rounds*each*size/4
	for _, s := range c.nodes {
		eventually(t, s.name+" takes little more than what is there", func() error {
			bytes, err := s.infoNumber("dynaring_disk_bytes")
			if err == nil && bytes > most {
				err = fmt.Errorf("%d bytes on disk for %d of values", bytes, live)
			}
			return err
		})
	}
	for round := range rounds {
		for i := range each / 50 {
			name := fmt.Sprintf("gone:%d:%d", round, i*50)
			if got := c.n(1+i%3).do("EXISTS", name); got != int64(0) {
				t.Fatalf("EXISTS %s = %v after it was deleted and collected", name, got)
			}
		}
	}
	if got := c.n(2).do("DBSIZE"); got != int64(kept) {
		t.Errorf("DBSIZE = %v, want %d", got, kept)
	}
}
