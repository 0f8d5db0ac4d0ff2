// Command bench compares a three-node cluster on this machine with its peers
// in one run: redis-server, and redcon answering from nothing, which is the
// ceiling of the protocol layer that dynaring stands on. The load comes from
// redis-benchmark. Systems take turns within a round, so that a machine whose
// speed drifts treats all alike; figures are medians over the rounds.
//
//	go run ./cmd/internal/bench -binary bin/dynaring -rounds 5 -markdown
package main
