package node

import (
	"cmp"
	"net"
	"os"

	"github.com/dynaring/dynaring/resp"
	"github.com/dynaring/dynaring/storage"
)

// fixedParameters are what CONFIG GET answers for what a start sets.
func (n *Node) fixedParameters() map[string]string {
	host, port, err := net.SplitHostPort(n.listeners.plain.Addr().String())
	if err != nil { // no TCP, as in a simulation
		host, port = "", "0"
	}
	_, clusterPort, _ := net.SplitHostPort(n.listeners.cluster.Addr().String())
	return map[string]string{"bind": host, "port": port, "dir": n.cfg.DataDir, "cluster-port": cmp.Or(clusterPort, "0")}
}

// process is what clients may ask of this process.
func (n *Node) process() resp.Process {
	p := n.deps.Process
	p.Sync, p.Stop = n.store.Sync, n.askToStop
	p.OnDisk = n.cfg.Durability != storage.Interval.String()
	p.AllOnDisk = n.cfg.Durability == storage.Always.String()
	p.Executable, _ = os.Executable()
	return p
}

// askToStop has Run end as its context's end does.
func (n *Node) askToStop() {
	select {
	case n.asked <- struct{}{}:
	default: // it was asked already
	}
}
