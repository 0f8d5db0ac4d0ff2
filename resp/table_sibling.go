package resp

import "github.com/dynaring/dynaring/coordinator"

// siblingCommands are what Redis does not have: concurrent values, quorums,
// and the ring.
func siblingCommands() []*row {
	return []*row{
		{
			name: "dget", arity: -2, flags: "readonly fast", cats: "@read @string @fast",
			first: 1, last: 1, step: 1, access: "RO access",
			group: "string", since: "0.1.0", complexity: "O(1)",
			summary: "Get all concurrent values of a key, and the context to write their successor with",
			args: []argument{
				key("key"),
				integer("r").after("R").opt(),
				word("withclocks", "WITHCLOCKS").opt(),
				word("local", "LOCAL").opt(),
			},
			class: coordinator.Reading, plan: planDGet, read: dget,
		},
		{
			name: "dput", arity: -3, flags: "write denyoom", cats: "@write @string @slow",
			first: 1, last: 1, step: 1, access: "OW update",
			group: "string", since: "0.1.0", complexity: "O(1)",
			summary: "Set a value that replaces what its context has seen, and no more",
			args: []argument{
				key("key"),
				str("value"),
				str("context").after("CONTEXT").opt(),
				integer("w").after("W").opt(),
				oneOf("expiration",
					integer("seconds").after("EX"), integer("milliseconds").after("PX"),
					unixTime("unix-time-seconds").after("EXAT"), unixTime("unix-time-milliseconds").after("PXAT")).opt(),
			},
			class: coordinator.Blind, plan: planDPut, write: writeDPut, finish: finishContext,
		},
		{
			name: "ddel", arity: -4, flags: "write", cats: "@keyspace @write @slow",
			first: 1, last: 1, step: 1, access: "RM delete",
			group: "generic", since: "0.1.0", complexity: "O(1)",
			summary: "Delete what a context has seen of a key, and no more",
			args:    []argument{key("key"), str("context").after("CONTEXT"), integer("w").after("W").opt()},
			class:   coordinator.Blind, plan: planDDel, write: writeDDel, finish: finishContext,
		},
		{
			name: "dquorum", arity: -1, flags: "loading stale fast", cats: "@fast @connection",
			group: "connection", since: "0.1.0", complexity: "O(1)",
			summary: "Set how many replicas this connection's reads and writes wait for, or get it",
			args:    []argument{integer("r").after("R").opt(), integer("w").after("W").opt()},
			exec:    dquorum,
		},
		{
			name: "dexplain", arity: 2, flags: "readonly", cats: "@keyspace @read @slow",
			first: 1, last: 1, step: 1, access: "RO",
			group: "generic", since: "0.1.0", complexity: "O(N) where N is the number of nodes",
			summary: "Show where a key lives, and what each of its replicas holds",
			args:    []argument{key("key")},
			exec:    dexplain,
		},
		{
			name: "dcluster", arity: -2, cats: "@slow",
			group: "cluster", since: "0.1.0", complexity: "Depends on subcommand.",
			summary: "A container for commands on the ring and its members",
			subs: []*row{
				{
					name: "dcluster|status", arity: 2, flags: "loading stale", cats: "@slow",
					group: "cluster", since: "0.1.0", complexity: "O(N) where N is the number of nodes",
					summary: "Show the cluster's settings and its members",
					exec:    dclusterStatus,
				},
				{
					name: "dcluster|history", arity: 2, flags: "loading stale", cats: "@slow",
					group: "cluster", since: "0.1.0", complexity: "O(N) where N is the number of events",
					summary: "Show the events that made the ring",
					exec:    dclusterHistory,
				},
				{
					name: "dcluster|settled", arity: 2, flags: "loading stale", cats: "@slow",
					group: "cluster", since: "0.1.0", complexity: "O(N) where N is the number of nodes",
					summary: "Tell whether all owners of every key hold the same, and why not",
					exec:    dclusterSettled,
				},
				{
					name: "dcluster|help", arity: 2, flags: "loading stale", cats: "@slow",
					group: "cluster", since: "0.1.0", complexity: "O(1)",
					summary: "Show helpful text about the different subcommands",
					exec:    dclusterHelp,
				},
			},
		},
	}
}
