package resp

// adminCommands are for those who run the server.
func adminCommands() []*row {
	return []*row{
		{
			name: "role", arity: 1, flags: "noscript loading stale fast", cats: "@admin @fast @dangerous",
			group: "server", since: "2.8.12", complexity: "O(1)",
			summary: "Return the role of the instance in the context of replication",
			exec:    role,
		},
		{
			name: "wait", arity: 3, flags: "noscript", cats: "@slow @connection",
			tips:  "request_policy:all_shards response_policy:agg_min",
			group: "generic", since: "3.0.0", complexity: "O(1)",
			summary: "Wait for the synchronous replication of all the write commands sent in the context of the current connection",
			args: []argument{
				integer("numreplicas"),
				integer("timeout"),
			},
			partly: "answers at once how many nodes besides the first have acknowledged this connection's writes: min(W, members) - 1",
			exec:   wait,
		},
		{
			name: "waitaof", arity: 4, flags: "noscript", cats: "@slow @connection",
			tips:  "request_policy:all_shards response_policy:agg_min",
			group: "generic", since: "7.2.0", complexity: "O(1)",
			summary: "Wait until this connection's writes are on disk, here and on other nodes",
			args:    []argument{integer("numlocal"), integer("numreplicas"), integer("timeout")},
			exec:    waitAOF,
		},
		{
			name: "lastsave", arity: 1, flags: "loading stale fast", cats: "@admin @fast @dangerous",
			tips:  "nondeterministic_output",
			group: "server", since: "1.0.0", complexity: "O(1)",
			summary: "Get the UNIX time stamp of the last successful save to disk",
			exec:    lastSave,
		},
		{
			name: "save", arity: 1, flags: "admin noscript no_async_loading no_multi", cats: "@admin @slow @dangerous",
			group: "server", since: "1.0.0", complexity: "O(N) where N is the total number of keys in all databases",
			summary: "Synchronously save the dataset to disk",
			partly:  "everything is on disk already, or within a second with --durability interval: SAVE syncs what is not",
			exec:    saveNow,
		},
		{
			name: "bgsave", arity: -1, flags: "admin noscript no_async_loading", cats: "@admin @slow @dangerous",
			group: "server", since: "1.0.0", complexity: "O(1)",
			summary: "Asynchronously save the dataset to disk",
			history: []change{
				{"3.2.2", "Added the `SCHEDULE` option."},
			},
			args: []argument{
				word("schedule", "SCHEDULE").from("3.2.2").opt(),
			},
			partly: "as SAVE; done when it answers",
			exec:   bgSave,
		},
		{
			name: "bgrewriteaof", arity: 1, flags: "admin noscript no_async_loading", cats: "@admin @slow @dangerous",
			group: "server", since: "1.0.0", complexity: "O(1)",
			summary: "Asynchronously rewrite the append-only file",
			partly:  "as SAVE; done when it answers",
			exec:    bgRewriteAOF,
		},
		{
			name: "shutdown", arity: -1, flags: "admin noscript loading stale no_multi allow_busy", cats: "@admin @slow @dangerous",
			group: "server", since: "1.0.0", complexity: "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
			summary: "Synchronously save the dataset to disk and then shut down the server",
			history: []change{
				{"7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers."},
			},
			args: []argument{
				oneOf("nosave_save", word("nosave", "NOSAVE"), word("save", "SAVE")).opt(),
				word("now", "NOW").from("7.0.0").opt(),
				word("force", "FORCE").from("7.0.0").opt(),
				word("abort", "ABORT").from("7.0.0").opt(),
			},
			partly: "stops this node; there is nothing to abort and nothing to save first",
			exec:   shutdown,
		},
		{
			name: "replicaof", arity: 3, flags: "admin noscript stale no_async_loading", cats: "@admin @slow @dangerous",
			group: "server", since: "5.0.0", complexity: "O(1)",
			summary: "Make the server a replica of another instance, or promote it as master.",
			args: []argument{
				oneOf("args", block("host-port", str("host"), integer("port")), block("no-one", word("no", "NO"), word("one", "ONE"))),
			},
			partly: "refused as a member of a Redis Cluster refuses it: every node takes writes",
			exec:   replicaOf,
		},
		{
			name: "slaveof", arity: 3, flags: "admin noscript stale no_async_loading", cats: "@admin @slow @dangerous",
			group: "server", since: "1.0.0", complexity: "O(1)",
			summary:    "Make the server a replica of another instance, or promote it as master.",
			deprecated: &deprecation{"5.0.0", "`REPLICAOF`"},
			args: []argument{
				oneOf("args", block("host-port", str("host"), integer("port")), block("no-one", word("no", "NO"), word("one", "ONE"))),
			},
			partly: "as REPLICAOF",
			exec:   replicaOf,
		},
		{
			name: "module", arity: -2, cats: "@slow",
			group: "server", since: "4.0.0", complexity: "Depends on subcommand.",
			summary: "A container for module commands",
			subs: []*row{
				{
					name: "module|help", arity: 2, flags: "loading stale", cats: "@slow",
					group: "server", since: "5.0.0", complexity: "O(1)",
					summary: "Show helpful text about the different subcommands",
					exec:    moduleHelp,
				},
				{
					name: "module|list", arity: 2, flags: "admin noscript", cats: "@admin @slow @dangerous",
					tips:  "nondeterministic_output_order",
					group: "server", since: "4.0.0", complexity: "O(N) where N is the number of loaded modules.",
					summary: "List all modules loaded by the server",
					exec:    moduleList,
				},
				{
					name: "module|load", arity: -3, flags: "admin noscript no_async_loading", cats: "@admin @slow @dangerous",
					group: "server", since: "4.0.0", complexity: "O(1)",
					summary: "Load a module",
					args: []argument{
						str("path"),
						str("arg").opt().many(),
					},
					partly:  "refused, as Redis does by default",
					refused: errModules,
				},
				{
					name: "module|loadex", arity: -3, flags: "admin noscript no_async_loading", cats: "@admin @slow @dangerous",
					group: "server", since: "7.0.0", complexity: "O(1)",
					summary: "Load a module with extended parameters",
					args: []argument{
						str("path"),
						block("configs", str("name"), str("value")).after("CONFIG").opt().many().manyTokens(),
						block("args", str("arg")).after("ARGS").opt().many(),
					},
					partly:  "refused, as Redis does by default",
					refused: errModules,
				},
				{
					name: "module|unload", arity: 3, flags: "admin noscript no_async_loading", cats: "@admin @slow @dangerous",
					group: "server", since: "4.0.0", complexity: "O(1)",
					summary: "Unload a module",
					args: []argument{
						str("name"),
					},
					partly:  "refused, as Redis does by default",
					refused: errModules,
				},
			},
		},
		{
			name: "memory", arity: -2, cats: "@slow",
			group: "server", since: "4.0.0", complexity: "Depends on subcommand.",
			summary: "A container for memory diagnostics commands",
			subs: []*row{
				{
					name: "memory|doctor", arity: 2, cats: "@slow",
					tips:  "nondeterministic_output request_policy:all_shards response_policy:special",
					group: "server", since: "4.0.0", complexity: "O(1)",
					summary: "Outputs memory problems report",
					partly:  "words of its own",
					exec:    memoryDoctor,
				},
				{
					name: "memory|help", arity: 2, flags: "loading stale", cats: "@slow",
					group: "server", since: "4.0.0", complexity: "O(1)",
					summary: "Show helpful text about the different subcommands",
					exec:    memoryHelp,
				},
				{
					name: "memory|malloc-stats", arity: 2, cats: "@slow",
					tips:  "nondeterministic_output request_policy:all_shards response_policy:special",
					group: "server", since: "4.0.0", complexity: "Depends on how much memory is allocated, could be slow",
					summary: "Show allocator internal stats",
					partly:  "of Go's runtime",
					exec:    memoryMallocStats,
				},
				{
					name: "memory|purge", arity: 2, cats: "@slow",
					tips:  "request_policy:all_shards response_policy:all_succeeded",
					group: "server", since: "4.0.0", complexity: "Depends on how much memory is allocated, could be slow",
					summary: "Ask the allocator to release memory",
					exec:    memoryPurge,
				},
				{
					name: "memory|stats", arity: 2, cats: "@slow",
					tips:  "nondeterministic_output request_policy:all_shards response_policy:special",
					group: "server", since: "4.0.0", complexity: "O(1)",
					summary: "Show memory usage details",
					partly:  "of the process; the data is on disk",
					exec:    memoryStats,
				},
			},
		},
		{
			name: "debug", arity: -2, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
			group: "server", since: "1.0.0", complexity: "Depends on subcommand.",
			summary:  "A container for debugging commands",
			partly:   "SLEEP (this connection only), OBJECT, ERROR, LOG, PROTOCOL, SET-ACTIVE-EXPIRE and CHANGE-REPL-ID (which do nothing) and HELP, for clients on the same machine; not the rest",
			exec:     debugging,
			docFlags: "syscmd",
		},
		{
			name: "lolwut", arity: -1, flags: "readonly fast", cats: "@read @fast",
			group: "server", since: "5.0.0",
			summary: "Display some computer art and the Redis version",
			args: []argument{
				integer("version").after("VERSION").opt(),
			},
			partly: "other art",
			exec:   lolwut,
		},
		{
			name: "time", arity: 1, flags: "loading stale fast", cats: "@fast",
			tips:  "nondeterministic_output",
			group: "server", since: "2.6.0", complexity: "O(1)",
			summary: "Return the current server time",
			exec:    timeNow,
		},
	}
}
