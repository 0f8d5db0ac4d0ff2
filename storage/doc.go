// Package storage keeps a node's rows on disk: cells, slot floors and a few
// named settings, in one Pebble database under one data directory.
//
// It knows rows, batches and what a crash may take; it never looks into a
// cell. It promises, in this order:
//
//   - a batch is atomic, and what a crash takes is always a suffix of the
//     batches, never one out of the middle ([Store.Apply]);
//   - nothing is acknowledged that is not stored as the caller asked
//     ([Commit.Wait]), and after the first error of the disk nothing is
//     acknowledged any more;
//   - the actor under which a node mints its dots is never one that may have
//     minted dots that the disk has forgotten ([Store.Actor]).
//
// What it must never do: end the process, decide what a write means, hold a
// lock across I/O, or start a goroutine outside [Store.Run] (the one that tells
// Options.OnFatal excepted).
package storage
