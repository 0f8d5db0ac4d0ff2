// Package resp is dynaring's face: the Redis protocol, the command table, and
// the execution of a client's pipeline as one batch.
//
// The files, in the order in which a command meets them:
//
//	gate.go     accepts: client limit, protected mode, draining at shutdown
//	guard.go    a client's connection; cuts it into whole commands (frame.go, inline.go)
//	server.go   runs the guards under redcon, and serves other nodes' commands
//	session.go  what a connection has said about itself
//	row.go      the command table: a row a command (table_*.go), lookup, arity
//	batch.go    a pipeline: planned into units of one key (plan.go), run in
//	            waves (wave.go), answered in order, those of a command's keys
//	            as one (merge.go); composite commands ask others (inner.go)
//	special.go  what subscribers, monitors and a pause add to it
//	slots.go    the cluster view: who leads and owns a slot, what is not for
//	            this node
//	cmd_*.go    one handler a command
//	timing.go   what a command took: for INFO (measure.go), the slow log and the
//	            latency monitor
//	config.go   CONFIG's parameters; settings.go: those that this package acts on
//	reply.go    RESP2 and RESP3; errors.go: one table from errors to replies
//
// and those that a message meets on its way to a subscriber:
//
//	spread.go   to this node's subscribers and to those of all others
//	hub.go      who subscribed to what here; monitor.go: who watches commands
//	outbox.go   one client's bounded queue, and the goroutine that writes it
//	client.go   a connection as the others see it, and end it
//
// A command is a row of the table; arity, key positions, routing, COMMAND and
// its DOCS all come from the row. Keyed handlers never see a quorum: a read
// gets a cell and appends a reply, a write describes its change and later
// appends a reply. What runs where is the [Backend]'s word.
//
// The package never lets a length that a client sent decide how much memory is
// taken, never drops a connection for an unknown command or a bad argument,
// never passes a command on twice, never has one client wait for another that
// does not read, and never shows a client an internal
// error's text.
package resp
