// Package seal is what a clean stop says of a store's files: the text of the
// marker that it leaves.
//
// Pebble takes whatever it cannot read at the end of a log or a MANIFEST for the
// last write of a crash, which nobody had been promised, and goes on without it and
// without a word. Behind a crash it can do no better; behind a clean stop all
// of it was promised, and a store without it would, under an actor that it
// believes to know, use dots again (law 3). So the marker of a clean stop says
// what is in these files. Tables need no seal: their blocks have checksums, and
// the MANIFEST has their sizes.
//
// The marker is text: the actor that stopped, a line for each file (name, size,
// hash), and the hash of all that. One that is not whole is none: it promises
// nothing, as after a crash.
//
// A seal is checked before it is removed, and stays where it does not fit, so
// that the next open refuses the directory too. A crash behind the removal, and
// before anything was written, leaves files that have just been found whole.
//
// # What it must never do
//
// Write anything, or know of a store that is open.
package seal
