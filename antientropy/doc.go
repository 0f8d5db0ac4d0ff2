// Package antientropy moves cells between replicas outside of requests, so
// that every owner of a slot comes to hold the same versions.
//
// It has the taking over of slots: a node that is coming to own slots pulls
// them from their present owners before it announces that it is ready
// (Dynamo, SOSP 2007, section 4.9). What it moves is cells, never operations,
// and they merge into what is there: moving a cell twice, or in any order,
// does no harm.
//
// It must never decide who owns what (package ring does), drop a cell, or
// delay a request.
package antientropy
