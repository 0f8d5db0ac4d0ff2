package resp

// objectCommands tell how values are kept.
func objectCommands() []*row {
	return []*row{
		{
			name: "object", arity: -2, flags: "", cats: "@slow",
			group: "generic", since: "2.2.3", complexity: "Depends on subcommand.",
			summary: "A container for object introspection commands",
			subs: []*row{
				{
					name: "object|encoding", arity: 3, flags: "readonly", cats: "@keyspace @read @slow",
					first: 2, last: 2, step: 1, access: "RO",
					tips:  "nondeterministic_output",
					group: "generic", since: "2.2.3", complexity: "O(1)",
					summary: "Inspect the internal encoding of a Redis object",
					args:    []argument{key("key")},
					read:    objectEncoding, partly: objectPartly,
				},
				{
					name: "object|freq", arity: 3, flags: "readonly", cats: "@keyspace @read @slow",
					first: 2, last: 2, step: 1, access: "RO",
					tips:  "nondeterministic_output",
					group: "generic", since: "4.0.0", complexity: "O(1)",
					summary: "Get the logarithmic access frequency counter of a Redis object",
					args:    []argument{key("key")},
					read:    objectFreq,
				},
				{
					name: "object|help", arity: 2, flags: "loading stale", cats: "@keyspace @slow",
					group: "generic", since: "6.2.0", complexity: "O(1)",
					summary: "Show helpful text about the different subcommands",
					exec:    objectHelp,
				},
				{
					name: "object|idletime", arity: 3, flags: "readonly", cats: "@keyspace @read @slow",
					first: 2, last: 2, step: 1, access: "RO",
					tips:  "nondeterministic_output",
					group: "generic", since: "2.2.3", complexity: "O(1)",
					summary: "Get the time since a Redis object was last accessed",
					args:    []argument{key("key")},
					read:    objectIdleTime, partly: "always 0: reading a key leaves no trace",
				},
				{
					name: "object|refcount", arity: 3, flags: "readonly", cats: "@keyspace @read @slow",
					first: 2, last: 2, step: 1, access: "RO",
					tips:  "nondeterministic_output",
					group: "generic", since: "2.2.3", complexity: "O(1)",
					summary: "Get the number of references to the value of the key",
					args:    []argument{key("key")},
					read:    objectRefCount,
				},
			},
		},
		{
			name: "memory", arity: -2, flags: "", cats: "@slow",
			group: "server", since: "4.0.0", complexity: "Depends on subcommand.",
			summary: "A container for memory diagnostics commands",
			subs:    []*row{memoryUsageRow()},
		},
	}
}

func memoryUsageRow() *row {
	return &row{
		name: "memory|usage", arity: -3, flags: "readonly", cats: "@read @slow",
		first: 2, last: 2, step: 1, access: "RO",
		group: "server", since: "4.0.0", complexity: "O(N) where N is the number of samples.",
		summary: "Estimate the memory usage of a key",
		args:    []argument{key("key"), integer("count").after("SAMPLES").opt()},
		plan:    planMemoryUsage, read: memoryUsage,
		partly: "the bytes that the key, its versions and their clocks take on each of its owners",
	}
}
