package resp

import "github.com/dynaring/dynaring/coordinator"

// keyspaceCommands find keys, and give them other names and expiries.
func keyspaceCommands() []*row {
	return []*row{
		{
			name: "touch", arity: -2, flags: "readonly fast", cats: "@keyspace @read @fast",
			first: 1, last: -1, step: 1, access: "RO",
			tips:  "request_policy:multi_shard response_policy:agg_sum",
			group: "generic", since: "3.2.1", complexity: "O(N) where N is the number of keys that will be touched.",
			summary: "Alters the last access time of a key(s). Returns the number of existing keys specified.",
			args:    []argument{key("key").many()},
			read:    exists, merge: mergeSum,
		},
		{
			name: "expireat", arity: -3, flags: "write fast", cats: "@keyspace @write @fast",
			first: 1, last: 1, step: 1, access: "RW update",
			group: "generic", since: "1.2.0", complexity: "O(1)",
			summary: "Set the expiration for a key as a UNIX timestamp",
			history: []change{
				{"7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`."},
			},
			args:  []argument{key("key"), unixTime("unix-time-seconds"), expireCondition()},
			class: coordinator.RMW, plan: planExpire, write: writeExpire, finish: finishBool,
		},
		{
			name: "pexpireat", arity: -3, flags: "write fast", cats: "@keyspace @write @fast",
			first: 1, last: 1, step: 1, access: "RW update",
			group: "generic", since: "2.6.0", complexity: "O(1)",
			summary: "Set the expiration for a key as a UNIX timestamp specified in milliseconds",
			history: []change{
				{"7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`."},
			},
			args:  []argument{key("key"), unixTime("unix-time-milliseconds"), expireCondition()},
			class: coordinator.RMW, plan: planExpire, write: writeExpire, finish: finishBool,
		},
		{
			name: "expiretime", arity: 2, flags: "readonly fast", cats: "@keyspace @read @fast",
			first: 1, last: 1, step: 1, access: "RO access",
			group: "generic", since: "7.0.0", complexity: "O(1)",
			summary: "Get the expiration Unix timestamp for a key",
			args:    []argument{key("key")},
			read:    expireTime,
		},
		{
			name: "pexpiretime", arity: 2, flags: "readonly fast", cats: "@keyspace @read @fast",
			first: 1, last: 1, step: 1, access: "RO access",
			group: "generic", since: "7.0.0", complexity: "O(1)",
			summary: "Get the expiration Unix timestamp for a key in milliseconds",
			args:    []argument{key("key")},
			read:    pExpireTime,
		},
		{
			name: "keys", arity: 2, flags: "readonly", cats: "@keyspace @read @slow @dangerous",
			tips:  "request_policy:all_shards nondeterministic_output_order",
			group: "generic", since: "1.0.0", complexity: "O(N) with N being the number of keys in the database, under the assumption that the key names in the database and the given pattern have limited length.",
			summary: "Find all keys matching the given pattern",
			args:    []argument{pattern("pattern")},
			exec:    keys,
		},
		{
			name: "randomkey", arity: 1, flags: "readonly", cats: "@keyspace @read @slow",
			tips:  "request_policy:all_shards nondeterministic_output",
			group: "generic", since: "1.0.0", complexity: "O(1)",
			summary: "Return a random key from the keyspace",
			exec:    randomKey,
		},
		{
			name: "rename", arity: 3, flags: "write", cats: "@keyspace @write @slow",
			first: 1, last: 2, step: 1,
			specs: []spec{{1, 1, 1, "RW access delete", ""}, {2, 2, 1, "OW update", ""}},
			group: "generic", since: "1.0.0", complexity: "O(1)",
			summary: "Rename a key",
			args:    []argument{key("key"), key("newkey").in(1)},
			exec:    rename,
		},
		{
			name: "renamenx", arity: 3, flags: "write fast", cats: "@keyspace @write @fast",
			first: 1, last: 2, step: 1,
			specs: []spec{{1, 1, 1, "RW access delete", ""}, {2, 2, 1, "OW insert", ""}},
			group: "generic", since: "1.0.0", complexity: "O(1)",
			summary: "Rename a key, only if the new key does not exist",
			history: []change{
				{"3.2.0", "The command no longer returns an error when source and destination names are the same."},
			},
			args: []argument{key("key"), key("newkey").in(1)},
			exec: rename,
		},
		{
			name: "copy", arity: -3, flags: "write denyoom", cats: "@keyspace @write @slow",
			first: 1, last: 2, step: 1,
			specs: []spec{{1, 1, 1, "RO access", ""}, {2, 2, 1, "OW update", ""}},
			group: "generic", since: "6.2.0", complexity: "O(N) worst case for collections, where N is the number of nested items. O(1) for string values.",
			summary: "Copy a key",
			args:    []argument{key("source"), key("destination").in(1), integer("destination-db").after("DB").opt(), word("replace", "REPLACE").opt()},
			exec:    copyKey,
		},
		{
			name: "move", arity: 3, flags: "write fast", cats: "@keyspace @write @fast",
			first: 1, last: 1, step: 1, access: "RW access update",
			group: "generic", since: "1.0.0", complexity: "O(1)",
			summary: "Move a key to another database",
			args:    []argument{key("key"), integer("db")},
			exec:    move,
		},
		{
			name: "swapdb", arity: 3, flags: "write fast", cats: "@keyspace @write @fast @dangerous",
			group: "server", since: "4.0.0", complexity: "O(N) where N is the count of clients watching or blocking on keys from both databases.",
			summary: "Swaps two Redis databases",
			args:    []argument{integer("index1"), integer("index2")},
			exec:    swapDB,
		},
	}
}
