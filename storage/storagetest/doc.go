// Package storagetest does to a data directory what no store does: it changes
// rows behind the checksums' back, as a memory or a disk that fails unnoticed
// does. It is for tests, and never part of a node.
package storagetest
