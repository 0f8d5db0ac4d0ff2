// Package coordinator runs a request's quorum: it decides which node runs a
// command, reads R owners, writes to all and answers at W, and tells apart
// "nothing was stored" from "it may have been" (paper, sections 4.3 to 4.5).
//
// The files, in the order in which a request meets them:
//
//	route.go    which node runs a command
//	forward.go  passing commands on to it, whole; exec.go is their wire form,
//	            serve.go runs what was passed on to this node, refuse.go keeps
//	            it from answering for slots that it does not own
//	read.go     the read driver: digests, hedges, merging; ask.go asks the
//	            owners, repair.go heals what was found to be stale
//	write.go    the write driver; check.go reads first where that is asked,
//	            replicate.go sends what the local replica has minted
//	scan.go     pages of the keyspace from any node; count.go counts it
//	tally.go    the quorum itself: pure
//	latency.go  when a peer is late
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
