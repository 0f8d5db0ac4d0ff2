// Command replay runs the simulator's random runs (cmd/internal/sim) so that a
// seed is one execution, to the last goroutine switch: a seed that fails here
// fails here every time, in the same way.
//
// Virtual time and seeded faults alone do not give that: the Go scheduler, the
// order of a map and the choice of a select differ from run to run. So the
// simulator's tests are built for WebAssembly (GOOS=wasip1), where Go's runtime
// has one thread, no timer that interrupts goroutines, and draws all its
// randomness and all its time from its host. That host is this program, by way
// of wazero. The idea is Polar Signals' ("(Mostly) Deterministic Simulation
// Testing in Go").
//
//	main.go   flags; runs a seed, more than once if asked to, and compares
//	build.go  builds the simulator, with what its dependencies lack on wasip1
//	          (testdata/port) added to copies of them
//	host.go   the world of one run: clock, randomness, files, output
//
// An order is the seed of that randomness: the same seed with another order has
// the same faults and clients, and goroutines that take turns differently. The
// same code, Go release, seed and order are the same execution; another line of
// code is another execution.
//
// It costs about ten times the processor time of a run in the open. It must
// never let anything of the machine into a run: neither its clock, nor its
// environment, nor its files.
package main
