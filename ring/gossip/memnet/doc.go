// Package memnet is a network in memory for tests: packets for memberlist,
// streams for everything else, between addresses whose links can be slow,
// lossy or cut.
//
// It starts no goroutine and uses nothing but package time to wait, so whole
// clusters run on it inside a testing/synctest bubble. It is for tests only.
package memnet
