// Package hyperloglog counts distinct elements approximately, in the bytes that
// Redis keeps them in, so that a value can go from one to the other
// (https://redis.io/commands/pfcount). It is pure.
//
// A sketch is 16384 registers of 6 bits: each holds the longest run of zeros,
// plus one, in the hashes of the elements that fell to it. Two sketches merge by
// the higher register, so merging is commutative, associative and idempotent,
// and siblings written at the same time lose nothing.
//
//	header  "HYLL", encoding 1, 3 zeros, cached count 8 (little endian; its
//	        highest bit: out of date)
//	dense   registers, 6 bits each, the lowest bits first
//	sparse  runs of registers:
//	        00nnnnnn           n+1 zeros
//	        01nnnnnn nnnnnnnn  n+1 zeros
//	        1vvvvvnn           n+1 registers of v+1
package hyperloglog
