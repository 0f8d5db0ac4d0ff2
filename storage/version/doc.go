// Package version is the law of dynaring's data: dots, pasts, vector clocks,
// contexts, counter totals, and the merge that every replica agrees on.
//
// It is pure. Nothing here reads a clock, a disk or a socket, starts a
// goroutine, or keeps state between calls ([Clock] excepted, which is told the
// time by its owner). The same input gives the same bytes on every node, which
// is what lets replicas compare themselves by a hash.
//
// The words are those of the Dynamo paper (SOSP 2007, sections 4.4 and 4.5),
// made exact: a version's past is the set of the writes its writer had seen,
// not "everything up to the highest counter", so that a reader of one lagging
// replica can never erase what it has not seen.
package version
