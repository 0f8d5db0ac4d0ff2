package resp

import "github.com/dynaring/dynaring/coordinator"

// dumpCommands take values out, and bring them in.
func dumpCommands() []*row {
	return []*row{
		{
			name: "dump", arity: 2, flags: "readonly", cats: "@keyspace @read @slow",
			first: 1, last: 1, step: 1, access: "RO access", tips: "nondeterministic_output",
			group: "generic", since: "2.6.0",
			complexity: "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1).",
			summary:    "Return a serialized version of the value stored at the specified key.",
			args:       []argument{key("key")},
			read:       dump,
		},
		{
			name: "restore", arity: -4, flags: "write denyoom", cats: "@keyspace @write @slow @dangerous",
			first: 1, last: 1, step: 1, access: "OW update",
			group: "generic", since: "2.6.0",
			complexity: "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is O(log(N)).",
			summary:    "Create a key using the provided serialized value, previously obtained using DUMP.",
			history: []change{
				{"3.0.0", "Added the `REPLACE` modifier."},
				{"5.0.0", "Added the `ABSTTL` modifier."},
				{"5.0.0", "Added the `IDLETIME` and `FREQ` options."},
			},
			args: []argument{
				key("key"), integer("ttl"), str("serialized-value"),
				word("replace", "REPLACE").from("3.0.0").opt(),
				word("absttl", "ABSTTL").from("5.0.0").opt(),
				integer("seconds").after("IDLETIME").from("5.0.0").opt(),
				integer("frequency").after("FREQ").from("5.0.0").opt(),
			},
			partly: "strings only, as there is nothing else yet",
			class:  coordinator.RMW, plan: planRestore, write: writeRestore, finish: finishOK,
		},
	}
}
