// Package storage keeps a node's rows on disk: cells, its own and those that it
// keeps for others, what is kept of them by slot, slot floors and a few named
// settings, in one Pebble database under one data directory.
//
// It knows rows, batches and what a crash may take; it never looks into a cell.
// It promises, in this order:
//
//   - nothing is acknowledged that is not stored as the caller asked
//     ([Commit.Wait]), and after the first error of the disk nothing is
//     acknowledged any more;
//   - a batch is whole or absent, and what a crash takes is always a suffix of
//     the applied batches, never one out of the middle ([Store.Apply]);
//   - the actor under which a node mints its dots is never one that may have
//     minted dots which the disk has forgotten ([Store.Actor],
//     [Store.NextIncarnation]).
//
// # What a crash can take
//
// From one replica, of what it has acknowledged:
//
//	always    nothing
//	one       nothing that it coordinated; of what others coordinated, about
//	          the last second (on their coordinators' disks it is safe)
//	interval  about the last second
//
// where "about the last second" is what was applied since [Store.Run] last
// synced. A crash of the process and one of the machine are alike here: the log
// is written to the file system in blocks.
//
// # What is not what was written
//
// Each row of a cell, and of a hint, has a checksum (checksum.go). A row that does
// not match it is a [DamagedRowError] to who reads it; the store goes on. Whoever
// writes it anew makes it sound.
//
// # When the disk fails
//
// A disk that is full refuses new batches ([DiskFullError]) and lets those under
// way wait; both end by themselves when there is space. Any other failed write
// or sync, damaged data, or a Pebble that cannot go on, ends the store: every
// call answers [ErrFailed], nothing more is written (see guardFS for why it has
// to be so), and Options.OnFatal is told once, so that the node can say why and
// stop with an exit code. Its next start takes up what a power cut at the moment
// of the failure would have left, under a new incarnation.
//
// Files that are not what was written are never taken for what they seem: Open
// answers [ErrDamaged], as it does where what a clean stop has left is no longer
// all there (see seal.go), and a read that meets them ends the store.
//
// # What it must never do
//
// End the process, decide what a write means, hold a lock across I/O, or start
// a goroutine outside [Store.Run] (the one that tells OnFatal excepted).
package storage
