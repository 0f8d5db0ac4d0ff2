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
// What it must never do: mint one dot twice (law 3), carry out one operation
// twice, acknowledge what the store has refused or, where the durability mode
// asks for a sync, what is not yet synced (law 4), let an older cell take the
// place of a newer one in the cache, or know anything of quorums: those are
// the coordinator's.
package replica
