// Package fidelity tells a server that speaks the Redis protocol from a real
// redis-server: it has scripts of commands sent to both and compares the
// replies byte for byte. It is for tests, and knows nothing of either server.
//
// The scripts are text. Empty lines separate them; each begins on new
// connections and an empty keyspace. A line is a command as it would be typed,
// with quoted words in Go's way ("\x00") and {text*n} in a word for n times the
// text. Before or in place of one:
//
//	# words      a comment
//	#! need      what the file's scripts need: "requirepass secret" or "cluster"
//	#~ reason    the next command's reply may differ from Redis's, and why
//	~ command    integers and decimals in the reply may differ a little (Tolerance)
//	@c command   on connection c, whose next reply is read before the next line
//	@c <         one more reply, or push, is read from connection c
//
// A script without @ is sent as one pipeline.
package fidelity
