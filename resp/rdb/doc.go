// Package rdb serialises one value in the form of Redis's DUMP and RESTORE
// (https://redis.io/commands/dump). It is pure.
//
//	type 1 (0: a string), the value, version 2 (little endian), CRC64 8 (of all
//	before it)
//
// A string is a length and its bytes, or one of the special encodings: an
// integer of 8, 16 or 32 bits, or LZF.
//
//	00nnnnnn                   length
//	01nnnnnn nnnnnnnn          length
//	10000000 4 bytes           length, big endian
//	10000001 8 bytes           length, big endian
//	11000000 … 11000010        an integer of 1, 2 or 4 bytes, little endian
//	11000011 packed, length    an LZF string: two lengths and the packed bytes
package rdb
