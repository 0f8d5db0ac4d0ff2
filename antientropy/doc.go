// Package antientropy moves cells between replicas outside of requests, so
// that every owner of a slot comes to hold the same versions, and nobody holds
// what is not his. Each part runs by itself:
//
//   - Exchange compares the slots that two owners share by their hashes, from
//     ranges of slots down to single cells, and has both hold the same
//     (Dynamo, SOSP 2007, section 4.7). A slot is compared when it has changed
//     and is quiet again; all of them when a peer comes back, and every few
//     minutes. Schedule and differences are pure: schedule.go, diff.go.
//   - Takeover pulls the slots that this node is coming to own from their
//     present owners, and compares them, before it announces that it is ready
//     (section 4.9).
//   - Handoff delivers hints (section 4.6), Strays what this node holds in
//     slots of others.
//   - Collect drops tombstones that nobody needs any more (law 7).
//   - Scrubber checks that what is kept of each slot is right.
//   - Pacer decides how much of the node all of that may take (section 6.5).
//
// What is moved is cells, never operations, and they merge into what is there:
// moving a cell twice, or in any order, does no harm. Cells that were read are
// stored somewhere else within replica.OpLifetime or not at all.
//
// It must never decide who owns what (package ring does), drop a cell that is
// not known to be where it belongs, or delay a request.
package antientropy
