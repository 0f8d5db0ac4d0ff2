package sim

import "time"

// lateClose is how long whoever goes on after a standstill may still read and
// write what it has meanwhile given up.
const lateClose = 2 * time.Millisecond

// Hold keeps back what one host sends to another on the connections that it has
// dialled by now; those opened later do not wait for it. However long it takes,
// and whatever both sides make of the silence, it arrives when it is released.
func (n *Network) Hold(from, to string) {
	n.update(func() {
		for c := range n.mu.conns {
			if c.remote.name == from && c.local.name == to && !c.dialled {
				c.in.held = true
			}
		}
	})
}

// Release ends a Hold.
func (n *Network) Release(from, to string) {
	n.update(func() {
		n.releaseLocked(func(c *Conn) bool { return c.remote.name == from && c.local.name == to })
	})
}

// ReleaseTo ends every Hold of what is sent to a host; "" is all of them.
func (n *Network) ReleaseTo(host string) {
	n.update(func() { n.releaseLocked(func(c *Conn) bool { return host == "" || c.local.name == host }) })
}

func (n *Network) releaseLocked(of func(*Conn) bool) {
	for c := range n.mu.conns {
		if of(c) {
			c.in.held = false
		}
	}
	n.resumeLocked(false)
}

// resumeLocked lets the ends go that were closed by somebody who stood still:
// once they have had the time to find what waits for them, or, if they race for
// it, half of them at once.
func (n *Network) resumeLocked(race bool) {
	for c := range n.mu.conns {
		if !c.closing || c.closed || c.suspendedLocked() {
			continue
		}
		if race && c.in.rng.IntN(2) == 0 {
			c.closeLocked()
			continue
		}
		time.AfterFunc(between(c.in.rng, 0, lateClose), func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			if !c.closed {
				c.closeLocked()
			}
		})
	}
}
