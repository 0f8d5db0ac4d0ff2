package node

import (
	"bytes"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
)

// tellTimeout bounds how long a member is waited for that is told what clients
// publish. One that is silent for longer is soon known to be down, and is not
// waited for.
const tellTimeout = 100 * time.Millisecond

// Tell sends a message to all other members. Those that do not look alive may
// get it too, but nobody waits for them. It is never sent twice.
func (c cluster) Tell(message []byte) (answers func() [][]byte) {
	v := c.n.gossip.View()
	if v.Ring == nil {
		return func() [][]byte { return nil }
	}
	members := v.Ring.Members()
	came, waiting := make(chan []byte, len(members)), 0
	until := time.Now().Add(tellTimeout)
	for i := range members {
		name := members[i].Name
		if name == c.n.cfg.Name {
			continue
		}
		up := v.Alive[name] && c.n.peers.Up(name)
		if up {
			waiting++
		}
		c.n.peers.Call(name, peer.Foreground, replica.KindTell, message, until, func(r peer.Reply) {
			switch {
			case !up:
			case r.Err != nil:
				came <- nil
			default:
				came <- bytes.Clone(r.Body)
			}
		})
	}
	return func() (all [][]byte) {
		for ; waiting > 0; waiting-- {
			if answer := <-came; len(answer) > 0 {
				all = append(all, answer)
			}
		}
		return all
	}
}
