package resp

// configCommands are about the parameters.
func configCommands() []*row {
	return []*row{
		{
			name: "config", arity: -2, cats: "@slow",
			group: "server", since: "2.0.0", complexity: "Depends on subcommand.",
			summary: "A container for server configuration commands",
			subs: []*row{
				{
					name: "config|get", arity: -3, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					group: "server", since: "2.0.0", complexity: "O(N) when N is the number of configuration parameters provided",
					summary: "Get the values of configuration parameters",
					history: []change{
						{"7.0.0", "Added the ability to pass multiple pattern parameters in one call"},
					},
					args: []argument{
						block("parameter", str("parameter")).many(),
					},
					exec: configGet,
				},
				{
					name: "config|help", arity: 2, flags: "loading stale", cats: "@slow",
					group: "server", since: "5.0.0", complexity: "O(1)",
					summary: "Show helpful text about the different subcommands",
					exec:    configHelp,
				},
				{
					name: "config|resetstat", arity: 2, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					group: "server", since: "2.0.0", complexity: "O(1)",
					summary: "Reset the stats returned by INFO",
					exec:    configResetStat,
				},
				{
					name: "config|rewrite", arity: 2, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					group: "server", since: "2.8.0", complexity: "O(1)",
					summary: "Rewrite the configuration file with the in memory configuration",
					partly:  "writes the TOML file of --config",
					exec:    configRewrite,
				},
				{
					name: "config|set", arity: -4, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					tips:  "request_policy:all_nodes response_policy:all_succeeded",
					group: "server", since: "2.0.0", complexity: "O(N) when N is the number of configuration parameters provided",
					summary: "Set configuration parameters to the given values",
					history: []change{
						{"7.0.0", "Added the ability to set multiple parameters in one call."},
					},
					args: []argument{
						block("parameter_value", str("parameter"), str("value")).many(),
					},
					partly: "parameters that mean nothing here are checked, kept and echoed; port and bind are set at the start only",
					exec:   configSet,
				},
			},
		},
	}
}
