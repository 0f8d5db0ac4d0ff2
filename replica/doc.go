// Package replica is this node's replica: it applies cells, mints dots, keeps
// the order of each key, caches what is hot, and serves its peers.
//
// All writing goes through lanes. A lane is one goroutine that owns every
// lanes-th slot; it takes whole batches off a bounded queue, works on
// everything that is queued in order against the state that its own pending
// writes leave behind, and hands the lot to the store as one batch. That is
// the per-key order, the read-modify-write atomicity and the group commit in
// one: nothing else in the process writes cells.
//
//	Update, Apply ─ warm the cache ─▶ lane queue ─▶ lane ─▶ storage.Apply
//	                                                 │ cache, Applied
//	                                                 └▶ syncer ─ Wait ─▶ Durable
//
// Reading needs no lane: [Replica.Get] answers from a bounded cache of
// immutable cells and falls back to the store.
//
// # What is kept for other nodes
//
// A hint is a cell in a row that names its owner. It is merged, cached and made
// durable like the replica's own, but it is not hashed, raises no floor, and is
// never what Get answers: [Replica.Held], and so every peer that reads, gets the
// own cell and all hints of it. The lanes keep an account of them by owner and
// slot, so that who looks for hints where there are none does not look at all,
// and each owner's are bounded: beyond [Options.HintLimit] they are refused, and
// the owner is marked for a full compare, but for those that a write cannot do
// without.
//
// # What is hashed
//
// For each slot there are sixteen leaf hashes over the replica's own cells
// ([Replica.Leaves]), always those of what the store holds: a lane works out
// what its batch makes of them, puts that into the same batch as a row of its
// journal, and lets it be seen when the store has the batch. A checkpoint
// writes them out and cuts the journals; a start reads both and no cell
// (journal.go). [Replica.Scrub] makes sure, a slot at a time, that all of this
// is so, and that the rows can be read.
//
// # Damaged rows
//
// A row whose checksum is not that of its bytes, or that is no cell's, is an
// error to whoever reads or writes it, and never an absent one: a write that took
// it for that could mint a dot again, or replace what it has not seen. It is
// remembered (damage.go) and stays until [Replica.Mend] replaces it by what the
// other owners hold (mend.go), under the next incarnation. A damaged hint goes,
// and its owner is marked for a full compare.
//
// # How cells go
//
// [Replica.Drop] takes a cell that its owners have acknowledged, and only if it
// is still the one they were sent. [Replica.Collect] takes a dead cell that all
// owners hold alike, after [Replica.Inspect] has said so, twice. Both raise the
// slot's floor in the same batch (law 3), and whoever drops increments of its
// own that others still hold goes on under its next incarnation before.
//
// What was dropped comes back only by a message from before. So cells that were
// sent longer than [MaxMessageAge] ago, by the clock that the two nodes share,
// are refused, and Inspect says where hints have moved too recently for anything
// to be sure (law 7).
//
// What it must never do: mint one dot twice (law 3), carry out one operation
// twice, acknowledge what the store has refused or, where the durability mode
// asks for a sync, what is not yet synced (law 4), drop a cell that has changed
// since its owners acknowledged it, let an older cell take the place of a newer
// one in the cache, or know anything of quorums: those are the coordinator's.
package replica
