package resp

// serverCommands concern the server, or every key of it.
func serverCommands() []*row {
	return []*row{
		{
			name: "command", arity: -1, flags: "loading stale", cats: "@slow @connection",
			tips:  "nondeterministic_output_order",
			group: "server", since: "2.8.13", complexity: "O(N) where N is the total number of Redis commands",
			summary: "Get array of Redis command details",
			subs: []*row{
				{
					name: "command|count", arity: 2, flags: "loading stale", cats: "@slow @connection",
					group: "server", since: "2.8.13", complexity: "O(1)",
					summary: "Get total number of Redis commands",
					exec:    commandCount,
				},
				{
					name: "command|docs", arity: -2, flags: "loading stale", cats: "@slow @connection",
					tips:  "nondeterministic_output_order",
					group: "server", since: "7.0.0", complexity: "O(N) where N is the number of commands to look up",
					summary: "Get array of specific Redis command documentation",
					args:    []argument{str("command-name").opt().many()},
					exec:    commandDocs,
				},
				{
					name: "command|getkeys", arity: -4, flags: "loading stale", cats: "@slow @connection",
					group: "server", since: "2.8.13", complexity: "O(N) where N is the number of arguments to the command",
					summary: "Extract keys given a full Redis command",
					exec:    commandGetKeys,
				},
				{
					name: "command|getkeysandflags", arity: -4, flags: "loading stale", cats: "@slow @connection",
					group: "server", since: "7.0.0", complexity: "O(N) where N is the number of arguments to the command",
					summary: "Extract keys and access flags given a full Redis command",
					exec:    commandGetKeysAndFlags,
				},
				{
					name: "command|help", arity: 2, flags: "loading stale", cats: "@slow @connection",
					group: "server", since: "5.0.0", complexity: "O(1)",
					summary: "Show helpful text about the different subcommands",
					exec:    commandHelp,
				},
				{
					name: "command|info", arity: -2, flags: "loading stale", cats: "@slow @connection",
					tips:  "nondeterministic_output_order",
					group: "server", since: "2.8.13", complexity: "O(N) where N is the number of commands to look up",
					summary: "Get array of specific Redis command details, or all when no argument is given.",
					history: []change{
						{"7.0.0", "Allowed to be called with no argument to get info on all commands."},
					},
					args: []argument{str("command-name").opt().many()},
					exec: commandInfo,
				},
				{
					name: "command|list", arity: -2, flags: "loading stale", cats: "@slow @connection",
					tips:  "nondeterministic_output_order",
					group: "server", since: "7.0.0", complexity: "O(N) where N is the total number of Redis commands",
					summary: "Get an array of Redis command names",
					args: []argument{
						oneOf("filterby", str("module-name").after("MODULE"), str("category").after("ACLCAT"), pattern("pattern").after("PATTERN")).after("FILTERBY").opt(),
					},
					exec: commandList,
				},
			},
			exec: commandAll,
		},
		{
			name: "info", arity: -1, flags: "loading stale", cats: "@slow @dangerous",
			tips:  "nondeterministic_output request_policy:all_shards response_policy:special",
			group: "server", since: "1.0.0", complexity: "O(1)",
			summary: "Get information and statistics about the server",
			history: []change{
				{"7.0.0", "Added support for taking multiple section arguments."},
			},
			args:   []argument{str("section").opt().many()},
			partly: "Redis's fields, 0 where what they count does not exist here, and a section of its own, dynaring; Keyspace is the whole cluster's and, unless asked for by name, counted at most once a second and for at most a twentieth of the time; expired_keys are those collected on this node's initiative",
			exec:   info,
		},
		{
			name: "dbsize", arity: 1, flags: "readonly fast", cats: "@keyspace @read @fast",
			tips:  "request_policy:all_shards response_policy:agg_sum",
			group: "server", since: "1.0.0", complexity: "O(1)",
			summary: "Return the number of keys in the selected database",
			exec:    dbSize,
		},
		{
			name: "flushall", arity: -1, flags: "write", cats: "@keyspace @write @slow @dangerous",
			tips:  "request_policy:all_shards response_policy:all_succeeded",
			group: "server", since: "1.0.0", complexity: "O(N) where N is the total number of keys in all databases",
			summary: "Remove all keys from all databases",
			history: []change{
				{"4.0.0", "Added the `ASYNC` flushing mode modifier."},
				{"6.2.0", "Added the `SYNC` flushing mode modifier."},
			},
			args: []argument{
				oneOf("async", word("async", "ASYNC").from("4.0.0"), word("sync", "SYNC").from("6.2.0")).opt(),
			},
			exec: flushAll,
		},
		{
			name: "flushdb", arity: -1, flags: "write", cats: "@keyspace @write @slow @dangerous",
			tips:  "request_policy:all_shards response_policy:all_succeeded",
			group: "server", since: "1.0.0", complexity: "O(N) where N is the number of keys in the selected database",
			summary: "Remove all keys from the current database",
			history: []change{
				{"4.0.0", "Added the `ASYNC` flushing mode modifier."},
				{"6.2.0", "Added the `SYNC` flushing mode modifier."},
			},
			args: []argument{
				oneOf("async", word("async", "ASYNC").from("4.0.0"), word("sync", "SYNC").from("6.2.0")).opt(),
			},
			exec: flushAll,
		},
	}
}
