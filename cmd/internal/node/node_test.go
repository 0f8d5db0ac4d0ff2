package node

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dynaring/dynaring/antientropy"
)

// runAlone runs a node that founds a cluster, on any ports, until the test
// ends.
func runAlone(t *testing.T) *Node {
	cfg := DefaultConfig()
	cfg.Name, cfg.DataDir = "n1", "data"
	for _, addr := range []*string{&cfg.Addr, &cfg.ClusterAddr, &cfg.PeerAddr, &cfg.GossipAddr, &cfg.HTTPAddr} {
		*addr = "127.0.0.1:0"
	}
	cfg, err := cfg.Complete()
	if err != nil {
		t.Fatal(err)
	}
	cfg.MinFreeDisk = 0
	n, err := NewWith(cfg, Deps{FS: vfs.NewMem()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return n
}

// Both ports for clients answer: nobody who was told of one waits in vain.
func TestBothPortsAnswer(t *testing.T) {
	n := runAlone(t)
	for name, ln := range map[string]net.Listener{"plain": n.listeners.plain, "cluster": n.listeners.cluster} {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(name, err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write([]byte("PING\r\n")); err != nil {
			t.Error(name, err)
		}
		reply := make([]byte, 16)
		if k, err := c.Read(reply); err != nil || string(reply[:k]) != "+PONG\r\n" {
			t.Errorf("%s: %q, %v", name, reply[:k], err)
		}
		c.Close()
	}
}

// What a node knows of itself can be asked for, and is among its metrics.
func TestStatus(t *testing.T) {
	n := runAlone(t)
	if !n.fit(t.Context()) {
		t.Fatal("it does not serve")
	}
	s := n.status()
	got, err := antientropy.DecodeStatus(s.Encode())
	if err != nil || got.Node != "n1" || got.Unstepped != 0 || got.Coming != 0 || len(got.Peers) != 0 || got.Slices <= 0 {
		t.Errorf("status %+v, %v", got, err)
	}
	resp, err := http.Get("http://" + n.listeners.http.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"dynaring_unstepped 0", "dynaring_background_share ", "dynaring_exchange_slots_total 0"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the metrics do not have %q", want)
		}
	}
}

// A node that starts again first meets the others, for no longer than one
// request may take.
func TestMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		up := func(name string) bool { return name == "n2" || time.Since(began) >= 40*time.Millisecond }
		if meet(t.Context(), []string{"n2", "n3"}, up, time.Second); time.Since(began) != 40*time.Millisecond {
			t.Errorf("met both after %v", time.Since(began))
		}
		began = time.Now()
		if meet(t.Context(), []string{"n2", "n3"}, func(string) bool { return false }, time.Second); time.Since(began) != time.Second {
			t.Errorf("gave up after %v", time.Since(began))
		}
		began = time.Now()
		if meet(t.Context(), nil, nil, time.Second); time.Since(began) != 0 {
			t.Errorf("alone, it waited %v", time.Since(began))
		}
	})
}
