// Package ring turns a cluster's history into its slot table: which nodes own
// a key, which are on their way to own it, and who stands in for them.
//
// Membership is a set of events ([History]); merging two histories is set
// union, so there is no leader and no conflict to resolve. Sorted by (time,
// id), the events are replayed through a pure function ([Replay]) to a [Ring]:
// slot → preference list. The same history gives the same ring on every node.
//
// It is pure: it reads no clock, disk or socket, keeps no state between calls
// and starts no goroutine. A [History] and a [Ring] never change once built.
// Liveness is none of its business: a node that looks dead moves nothing.
package ring
