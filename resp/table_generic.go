package resp

import "github.com/dynaring/dynaring/coordinator"

// expireCondition documents the condition of EXPIRE and its kin.
func expireCondition() argument {
	return oneOf("condition", word("nx", "NX"), word("xx", "XX"), word("gt", "GT"), word("lt", "LT")).from("7.0.0").opt()
}

// genericCommands are on keys of any type.
func genericCommands() []*row {
	return []*row{
		{
			name: "del", arity: -2, flags: "write", cats: "@keyspace @write @slow",
			first: 1, last: -1, step: 1, access: "RM delete",
			tips:  "request_policy:multi_shard response_policy:agg_sum",
			group: "generic", since: "1.0.0", complexity: "O(N) where N is the number of keys that will be removed. When a key to remove holds a value other than a string, the individual complexity for this key is O(M) where M is the number of elements in the list, set, sorted set or hash. Removing a single key that holds a string value is O(1).",
			summary: "Delete a key",
			args:    []argument{key("key").many()},
			class:   coordinator.RMW, write: writeDel, finish: finishBool, merge: mergeSum,
		},
		{
			name: "unlink", arity: -2, flags: "write fast", cats: "@keyspace @write @fast",
			first: 1, last: -1, step: 1, access: "RM delete",
			tips:  "request_policy:multi_shard response_policy:agg_sum",
			group: "generic", since: "4.0.0", complexity: "O(1) for each key removed regardless of its size. Then the command does O(N) work in a different thread in order to reclaim memory, where N is the number of allocations the deleted objects where composed of.",
			summary: "Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non blocking.",
			args:    []argument{key("key").many()},
			class:   coordinator.RMW, write: writeDel, finish: finishBool, merge: mergeSum,
		},
		{
			name: "exists", arity: -2, flags: "readonly fast", cats: "@keyspace @read @fast",
			first: 1, last: -1, step: 1, access: "RO",
			tips:  "request_policy:multi_shard response_policy:agg_sum",
			group: "generic", since: "1.0.0", complexity: "O(N) where N is the number of keys to check.",
			summary: "Determine if a key exists",
			history: []change{
				{"3.0.3", "Accepts multiple `key` arguments."},
			},
			args: []argument{key("key").many()},
			read: exists, merge: mergeSum,
		},
		{
			name: "type", arity: 2, flags: "readonly fast", cats: "@keyspace @read @fast",
			first: 1, last: 1, step: 1, access: "RO",
			group: "generic", since: "1.0.0", complexity: "O(1)",
			summary: "Determine the type stored at key",
			args:    []argument{key("key")},
			read:    typeOf,
		},
		{
			name: "expire", arity: -3, flags: "write fast", cats: "@keyspace @write @fast",
			first: 1, last: 1, step: 1, access: "RW update",
			group: "generic", since: "1.0.0", complexity: "O(1)",
			summary: "Set a key's time to live in seconds",
			history: []change{
				{"7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`."},
			},
			args: []argument{
				key("key"),
				integer("seconds"),
				expireCondition(),
			},
			class: coordinator.RMW, plan: planExpire, write: writeExpire, finish: finishBool,
		},
		{
			name: "pexpire", arity: -3, flags: "write fast", cats: "@keyspace @write @fast",
			first: 1, last: 1, step: 1, access: "RW update",
			group: "generic", since: "2.6.0", complexity: "O(1)",
			summary: "Set a key's time to live in milliseconds",
			history: []change{
				{"7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`."},
			},
			args: []argument{
				key("key"),
				integer("milliseconds"),
				expireCondition(),
			},
			class: coordinator.RMW, plan: planExpire, write: writeExpire, finish: finishBool,
		},
		{
			name: "ttl", arity: 2, flags: "readonly fast", cats: "@keyspace @read @fast",
			first: 1, last: 1, step: 1, access: "RO access",
			tips:  "nondeterministic_output",
			group: "generic", since: "1.0.0", complexity: "O(1)",
			summary: "Get the time to live for a key in seconds",
			history: []change{
				{"2.8.0", "Added the -2 reply."},
			},
			args: []argument{key("key")},
			read: ttl,
		},
		{
			name: "pttl", arity: 2, flags: "readonly fast", cats: "@keyspace @read @fast",
			first: 1, last: 1, step: 1, access: "RO access",
			tips:  "nondeterministic_output",
			group: "generic", since: "2.6.0", complexity: "O(1)",
			summary: "Get the time to live for a key in milliseconds",
			history: []change{
				{"2.8.0", "Added the -2 reply."},
			},
			args: []argument{key("key")},
			read: pttl,
		},
		{
			name: "persist", arity: 2, flags: "write fast", cats: "@keyspace @write @fast",
			first: 1, last: 1, step: 1, access: "RW update",
			group: "generic", since: "2.2.0", complexity: "O(1)",
			summary: "Remove the expiration from a key",
			args:    []argument{key("key")},
			class:   coordinator.RMW, write: writePersist, finish: finishBool,
		},
		{
			name: "scan", arity: -2, flags: "readonly", cats: "@keyspace @read @slow",
			tips:  "nondeterministic_output request_policy:special",
			group: "generic", since: "2.8.0", complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
			summary: "Incrementally iterate the keys space",
			history: []change{
				{"6.0.0", "Added the `TYPE` subcommand."},
			},
			args: []argument{
				integer("cursor"),
				pattern("pattern").after("MATCH").opt(),
				integer("count").after("COUNT").opt(),
				str("type").after("TYPE").from("6.0.0").opt(),
			},
			exec: scan,
		},
	}
}
