// Package netlab makes small networks for tests: hosts that are network
// namespaces of this machine, joined by a switch in this process, which cuts,
// delays, loses and slows what travels between any two of them, each direction
// for itself. Real processes run on the hosts, on real TCP and UDP.
//
// A host's only way out is a TUN device whose other end is the switch
// (switch.go), so no packet can leave the lab. What happens to a packet is
// decided by the Condition of its direction (condition.go, pure). The kernel's
// own netem would do the same, and is in few kernels.
//
// Namespaces have no names and hold their mounts for themselves: they live as
// long as this process and the commands that it runs in them, which die with
// it. So nothing is left to clean up, however a test ends. It knows nothing of
// dynaring, and must never touch the machine's own network.
package netlab
