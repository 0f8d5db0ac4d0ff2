// Package coordinator runs a request's quorum: it decides which node runs a
// command, reads R nodes, writes to all owners and answers at W, and tells apart
// "nothing was stored" from "it may have been" (paper, sections 4.3 to 4.6).
//
// The files, in the order in which a request meets them:
//
//	route.go    which node runs a command
//	forward.go  passing commands on to it, whole; reroute.go tries others where
//	            nothing was started, exec.go is their wire form, serve.go runs
//	            what was passed on to this node, refuse.go keeps it from
//	            answering for slots that it does not own
//	read.go     the read driver: digests, hedges, merging; ask.go asks the
//	            owners, standin.go the fallbacks where these do not answer,
//	            repair.go heals what was found to be stale
//	write.go    the write driver; check.go reads first where that is asked,
//	            replicate.go sends what the local replica has minted, cover.go
//	            has fallbacks cover for owners
//	scan.go     pages of the keyspace from any node; count.go counts it, sweep.go
//	            finds whatever copy is alive
//	tally.go    the quorum itself: pure
//	latency.go  when a peer is late
//	health.go   which peers cannot store
//
// # The sloppy quorum
//
// The first healthy nodes of a key's list stand for the first N. Of a write
// each owner's copy is a leg; one that is down when the write starts, fails, or
// is late while the caller waits is covered by the next fallback, which keeps
// the cells as a hint for that owner. Each node is asked once, so acks are of
// distinct nodes, and fallbacks' count like owners'; a node that is coming is
// sent the cells, and never counts. Where W is reached an owner's answer is
// still awaited, and covered in the background if it does not come. Cells are
// sent to nobody once they are replica.OpLifetime old.
//
// A read takes fallbacks for owners that cannot be reached, or have let half of
// its time pass. What they keep is as good as an owner's copy. That there is
// nothing, only an owner can say.
//
// Where no owner can be reached the first fallback that can be runs the command
// itself, as a stand-in: its own replica mints, and holds what will be returned
// to the owners (package antientropy). It takes what it knows of the key, its
// hints and those of the others it reaches, for what the command changes.
//
// Nodes that can be called and cannot store, because their disk is full, fails
// or hangs, are passed over: they are sent what is theirs and covered at once,
// and run no commands, until they answer a probe.
//
// Every path takes a batch; one command is a batch of one. A driver is one
// batch's state, taken from a pool that belongs to its Coordinator: what comes
// back after the request was answered still finds it, and the last one to
// leave returns it. Answers of peers arrive on the connections' readers, which
// must never wait: they are counted or queued there, nothing more.
//
// The coordinator never mints a dot, changes a cell or decides who owns what:
// the replica and the ring do. An operation is handed to the local replica
// once; what travels to other replicas, in whatever number of attempts, is
// what came out of it. An operation that may have been started on another
// node is never started again.
package coordinator
