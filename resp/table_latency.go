package resp

// latencyCommands tell what took long.
func latencyCommands() []*row {
	return []*row{
		{
			name: "slowlog", arity: -2, cats: "@slow",
			group: "server", since: "2.2.12", complexity: "Depends on subcommand.",
			summary: "A container for slow log commands",
			subs: []*row{
				{
					name: "slowlog|get", arity: -2, flags: "admin loading stale", cats: "@admin @slow @dangerous",
					tips:  "request_policy:all_nodes nondeterministic_output",
					group: "server", since: "2.2.12", complexity: "O(N) where N is the number of entries returned",
					summary: "Get the slow log's entries",
					history: []change{
						{"4.0.0", "Added client IP address, port and name to the reply."},
					},
					args: []argument{
						integer("count").opt(),
					},
					partly: "commands of a pipeline that ran together are one entry, if together they were slow",
					exec:   slowlogGet,
				},
				{
					name: "slowlog|help", arity: 2, flags: "loading stale", cats: "@slow",
					group: "server", since: "6.2.0", complexity: "O(1)",
					summary: "Show helpful text about the different subcommands",
					exec:    slowlogHelp,
				},
				{
					name: "slowlog|len", arity: 2, flags: "admin loading stale", cats: "@admin @slow @dangerous",
					tips:  "request_policy:all_nodes response_policy:agg_sum nondeterministic_output",
					group: "server", since: "2.2.12", complexity: "O(1)",
					summary: "Get the slow log's length",
					exec:    slowlogLen,
				},
				{
					name: "slowlog|reset", arity: 2, flags: "admin loading stale", cats: "@admin @slow @dangerous",
					tips:  "request_policy:all_nodes response_policy:all_succeeded",
					group: "server", since: "2.2.12", complexity: "O(N) where N is the number of entries in the slowlog",
					summary: "Clear all entries from the slow log",
					exec:    slowlogReset,
				},
			},
		},
		{
			name: "latency", arity: -2, cats: "@slow",
			group: "server", since: "2.8.13", complexity: "Depends on subcommand.",
			summary: "A container for latency diagnostics commands",
			subs: []*row{
				{
					name: "latency|doctor", arity: 2, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					tips:  "nondeterministic_output request_policy:all_nodes response_policy:special",
					group: "server", since: "2.8.13", complexity: "O(1)",
					summary: "Return a human readable latency analysis report.",
					partly:  "words of its own",
					exec:    latencyDoctor,
				},
				{
					name: "latency|graph", arity: 3, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					tips:  "nondeterministic_output request_policy:all_nodes response_policy:special",
					group: "server", since: "2.8.13", complexity: "O(1)",
					summary: "Return a latency graph for the event.",
					args: []argument{
						str("event"),
					},
					exec: latencyGraph,
				},
				{
					name: "latency|help", arity: 2, flags: "loading stale", cats: "@slow",
					group: "server", since: "2.8.13", complexity: "O(1)",
					summary: "Show helpful text about the different subcommands.",
					exec:    latencyHelp,
				},
				{
					name: "latency|histogram", arity: -2, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					tips:  "nondeterministic_output request_policy:all_nodes response_policy:special",
					group: "server", since: "7.0.0", complexity: "O(N) where N is the number of commands with latency information being retrieved.",
					summary: "Return the cumulative distribution of latencies of a subset of commands or all.",
					args: []argument{
						str("command").opt().many(),
					},
					partly: "commands of a pipeline that ran together took equal shares of its time",
					exec:   latencyHistogram,
				},
				{
					name: "latency|history", arity: 3, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					tips:  "nondeterministic_output request_policy:all_nodes response_policy:special",
					group: "server", since: "2.8.13", complexity: "O(1)",
					summary: "Return timestamp-latency samples for the event.",
					args: []argument{
						str("event"),
					},
					exec: latencyHistory,
				},
				{
					name: "latency|latest", arity: 2, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					tips:  "nondeterministic_output request_policy:all_nodes response_policy:special",
					group: "server", since: "2.8.13", complexity: "O(1)",
					summary: "Return the latest latency samples for all events.",
					partly:  "events are command and fast-command",
					exec:    latencyLatest,
				},
				{
					name: "latency|reset", arity: -2, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					tips:  "request_policy:all_nodes response_policy:all_succeeded",
					group: "server", since: "2.8.13", complexity: "O(1)",
					summary: "Reset latency data for one or more events.",
					args: []argument{
						str("event").opt().many(),
					},
					exec: latencyReset,
				},
			},
		},
	}
}
