// Package node assembles one dynaring node: it opens the data directory, wires
// the layers to each other, runs them, and stops them in the opposite order.
//
// It must stay assembly: whatever decides something belongs to the layer that
// knows about it. Time, disk and network come in by [Deps], so that the same
// assembly runs in the real binary and in a simulation.
package node
