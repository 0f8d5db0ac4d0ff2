package node

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Both ports for clients answer: nobody who was told of one waits in vain.
func TestBothPortsAnswer(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Name, cfg.DataDir, cfg.HTTPAddr = "n1", "data", HTTPOff
	for _, addr := range []*string{&cfg.Addr, &cfg.ClusterAddr, &cfg.PeerAddr, &cfg.GossipAddr} {
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
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
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
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
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
