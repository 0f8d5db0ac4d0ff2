package coordinator

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
)

const (
	// probeEvery is how often a node that is passed over is asked whether its
	// disk answers again, and within what time it has to.
	probeEvery = 250 * time.Millisecond
	// fairWait is what a call must have been given before its timeout says
	// anything of the node.
	fairWait = maxLate
)

// health knows the nodes that can be called and cannot store: their disk is
// full, or fails, or hangs. They are passed over, which is to say neither
// chosen to run commands nor counted on for a copy, until they answer a probe.
// What the transport sees by itself (Peers.Up) is not kept here.
//
// This node, "", is among them for probeEvery after its replica refused a
// batch: then it tries again.
type health struct {
	ill chan struct{} // of one; a token means: somebody is newly passed over

	mu    sync.Mutex                           // of those who replace nodes
	nodes atomic.Pointer[map[string]time.Time] // passed over → when to probe
}

func (h *health) init() {
	h.ill = make(chan struct{}, 1)
	h.nodes.Store(&map[string]time.Time{})
}

// passed reports whether the node is passed over. It never blocks.
func (h *health) passed(node string) bool {
	nodes := *h.nodes.Load()
	if len(nodes) == 0 {
		return false
	}
	until, ok := nodes[node]
	return ok && (node != "" || time.Now().Before(until))
}

// count returns how many other nodes are passed over.
func (h *health) count() (n int) {
	for node := range *h.nodes.Load() {
		if node != "" {
			n++
		}
	}
	return n
}

// change replaces the nodes by what edit makes of a copy of them.
func (h *health) change(edit func(map[string]time.Time)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	nodes := maps.Clone(*h.nodes.Load())
	edit(nodes)
	h.nodes.Store(&nodes)
}

// fail notes that a node could not store something, and reports whether that
// is news.
func (h *health) fail(node string, now time.Time) (news bool) {
	if _, known := (*h.nodes.Load())[node]; known && node != "" {
		return false
	}
	h.change(func(nodes map[string]time.Time) {
		_, known := nodes[node]
		nodes[node], news = now.Add(probeEvery), !known
	})
	select {
	case h.ill <- struct{}{}:
	default:
	}
	return news
}

// well notes that a node can store again.
func (h *health) well(node string) {
	h.change(func(nodes map[string]time.Time) { delete(nodes, node) })
}

// due returns the nodes that are to be probed now, and when to look again: the
// zero time where nobody is passed over.
func (h *health) due(now time.Time) (probe []string, next time.Time) {
	h.change(func(nodes map[string]time.Time) {
		for node, at := range nodes {
			over := !at.After(now)
			if node == "" && over {
				delete(nodes, node)
				continue
			}
			if over {
				probe = append(probe, node)
				at = now.Add(probeEvery)
				nodes[node] = at
			}
			if next.IsZero() || at.Before(next) {
				next = at
			}
		}
	})
	return probe, next
}

// Passed reports whether this node passes another one over, because it failed
// to store something.
func (c *Coordinator) Passed(node string) bool { return c.health.passed(c.asked(node)) }

// asked is a node's name among those that are asked: "" is this one.
func (c *Coordinator) asked(node string) string {
	if node == c.opts.Self {
		return ""
	}
	return node
}

// observe notes how long a peer took to answer a request, and what a failure
// says of its disk. What was never sent says nothing, and a peer that is silent
// is down anyway.
func (c *Coordinator) observe(node string, kind uint8, sent time.Time, err error) {
	if err != nil && peer.NotSent(err) {
		return
	}
	took := time.Since(sent)
	c.late.observe(node, kind, took)
	if err != nil && kind != replica.KindRead && cannotStore(err, took) && c.peers.Up(node) {
		c.passOver(node, err)
	}
}

// cannotStore reports whether the failure of a request that stores something
// says that its node cannot.
func cannotStore(err error, took time.Duration) bool {
	if remote, ok := err.(*peer.RemoteError); ok {
		return remote.Code == replica.CodeRefused || remote.Code == replica.CodeFailed
	}
	return errors.Is(err, peer.ErrTimeout) && took >= fairWait
}

// noteSlow passes a node over that had a write passed on to it and took nearly
// all of its time to answer: a coordinator whose disk has to sync before it
// answers is held up by nobody as much as by itself. Where it was somebody else,
// the probe says so.
func (c *Coordinator) noteSlow(l *execLeg, err error) {
	writes := func(i int32) bool { return l.d.x.Commands[i].Class != Reading }
	nearly := l.d.deadline.Sub(l.sent) * 3 / 4
	if err == nil && time.Since(l.sent) >= nearly && slices.ContainsFunc(l.idx, writes) {
		c.passOver(l.node, errSlowDisk)
	}
}

func (c *Coordinator) passOver(node string, why error) {
	if c.health.fail(node, time.Now()) && node != "" {
		c.log.Warn("a node cannot store and is passed over until it answers a probe", "node", node, "err", why)
	}
}

// probe asks the nodes that are passed over whether their disks answer again,
// until ctx ends.
func (c *Coordinator) probe(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next := c.probeDue(time.Now())
		if next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
		select {
		case <-timer.C:
		case <-c.health.ill:
		case <-ctx.Done():
			return
		}
	}
}

func (c *Coordinator) probeDue(now time.Time) (next time.Time) {
	nodes, next := c.health.due(now)
	for _, node := range nodes {
		if !c.peers.Up(node) { // it is asked when it is back, if it is to come back
			if _, member := c.views.View().Ring.Member(node); !member {
				c.health.well(node)
			}
			continue
		}
		c.peers.Call(node, peer.Foreground, replica.KindProbe, nil, now.Add(probeEvery), func(r peer.Reply) {
			if r.Err == nil {
				c.health.well(node)
				c.log.Info("a node that was passed over can store again", "node", node)
			}
		})
	}
	return next
}
