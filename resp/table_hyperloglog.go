package resp

import "github.com/dynaring/dynaring/coordinator"

// hyperloglogCommands count distinct elements approximately.
func hyperloglogCommands() []*row {
	return []*row{
		{
			name: "pfadd", arity: -2, flags: "write denyoom fast", cats: "@write @hyperloglog @fast",
			first: 1, last: 1, step: 1, access: "RW insert",
			group: "hyperloglog", since: "2.8.9", complexity: "O(1) to add every element.",
			summary: "Adds the specified elements to the specified HyperLogLog.",
			args:    []argument{key("key"), str("element").opt().many()},
			class:   coordinator.RMW, write: writePFAdd, finish: finishBool,
		},
		{
			name: "pfcount", arity: -2, flags: "readonly", cats: "@read @hyperloglog @slow",
			first: 1, last: -1, step: 1, access: "RW access",
			note:  "RW because it may change the internal representation of the key, and propagate to replicas",
			group: "hyperloglog", since: "2.8.9",
			complexity: "O(1) with a very small average constant time when called with a single key. O(N) with N being the number of keys, and much bigger constant times, when called with multiple keys.",
			summary:    "Return the approximated cardinality of the set(s) observed by the HyperLogLog at key(s).",
			args:       []argument{key("key").many()},
			exec:       pfCount,
		},
		{
			name: "pfmerge", arity: -2, flags: "write denyoom", cats: "@write @hyperloglog @slow",
			first: 1, last: -1, step: 1,
			specs: []spec{{1, 1, 1, "RW access insert", ""}, {2, -1, 1, "RO access", ""}},
			group: "hyperloglog", since: "2.8.9", complexity: "O(N) to merge N HyperLogLogs, but with high constant times.",
			summary: "Merge N different HyperLogLogs into a single one.",
			args:    []argument{key("destkey"), key("sourcekey").in(1).many()},
			exec:    pfMerge,
		},
		{
			name: pfRaiseName, internal: true, arity: -2,
			first: 1, last: 1, step: 1,
			class: coordinator.RMW, write: writePFRaise, finish: finishOK,
		},
	}
}
