// Package sim runs whole clusters in one process under testing/synctest: real
// nodes, as cmd/internal/node assembles them, on virtual time, in-memory disks
// that crash and a network that delays, loses, cuts and freezes. Minutes of
// faults take a second, and a seed repeats them.
//
//	network.go    hosts, links and their faults; conn.go, hold.go, listen.go,
//	              gossip.go what a node sees of them
//	disk.go       a node's disk: crashes, slow syncs, no room, errors, backups
//	cluster.go    nodes on hosts and disks: start, stop, crash, wipe; settle.go
//	              waits until they say that all is the same everywhere
//	fault.go      faults by their names
//	client.go     a small Redis client over the network
//	history.go    what clients did and were told
//	workload.go   clients that do it
//	draw.go       a random run drawn from a seed, plan.go its faults; run.go
//	              runs it
//	check.go      the laws, checked on a history; reach.go: law 5; audit.go on
//	              what disks.go has read; look.go: what is read in the end
//
// The scenarios are in testdata, as text. docs/TESTING.md says how to run
// scenarios and seeds, what is checked, and by what the tests themselves are
// tested: testdata/mutations are ways to break the code.
//
// A seed fixes the faults, the delays and what the clients do. How goroutines
// that are ready at the same instant of virtual time take turns is up to the
// Go scheduler, so a seed that fails once in a while has to be run often, or
// under cmd/internal/replay, where it is one execution.
//
// What runs in a bubble must not wait with a mutex held, must not wait for
// anything outside, and must be gone at the end. The package must never reach
// into a node: it changes the world around it, asks as a client asks, and reads
// disks of nodes that have stopped.
package sim
