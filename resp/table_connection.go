package resp

// connectionCommands are what a client says about its connection.
func connectionCommands() []*row {
	return []*row{
		{
			name: "ping", arity: -1, flags: "fast", cats: "@fast @connection",
			tips:  "request_policy:all_shards response_policy:all_succeeded",
			group: "connection", since: "1.0.0", complexity: "O(1)",
			summary: "Ping the server",
			args:    []argument{str("message").opt()},
			exec:    ping,
		},
		{
			name: "echo", arity: 2, flags: "loading stale fast", cats: "@fast @connection",
			group: "connection", since: "1.0.0", complexity: "O(1)",
			summary: "Echo the given string",
			args:    []argument{str("message")},
			exec:    echo,
		},
		{
			name: "hello", arity: -1, flags: "noscript loading stale fast no_auth allow_busy", cats: "@fast @connection",
			group: "connection", since: "6.0.0", complexity: "O(1)",
			summary: "Handshake with Redis",
			history: []change{
				{"6.2.0", "`protover` made optional; when called without arguments the command reports the current connection's context."},
			},
			args: []argument{
				block("arguments", integer("protover"), block("username_password", str("username"), str("password")).after("AUTH").opt(), str("clientname").after("SETNAME").opt()).opt(),
			},
			exec: hello,
		},
		{
			name: "auth", arity: -2, flags: "noscript loading stale fast no_auth allow_busy", cats: "@fast @connection",
			group: "connection", since: "1.0.0", complexity: "O(N) where N is the number of passwords defined for the user",
			summary: "Authenticate to the server",
			history: []change{
				{"6.0.0", "Added ACL style (username and password)."},
			},
			args: []argument{str("username").from("6.0.0").opt(), str("password")},
			exec: auth,
		},
		{
			name: "select", arity: 2, flags: "loading stale fast", cats: "@fast @connection",
			group: "connection", since: "1.0.0", complexity: "O(1)",
			summary: "Change the selected database for the current connection",
			args:    []argument{integer("index")},
			exec:    selectDB,
		},
		{
			name: "quit", arity: -1, flags: "noscript loading stale fast no_auth allow_busy", cats: "@fast @connection",
			group: "connection", since: "1.0.0", complexity: "O(1)",
			summary: "Close the connection",
			exec:    quit,
		},
		{
			name: "reset", arity: 1, flags: "noscript loading stale fast no_auth allow_busy", cats: "@fast @connection",
			group: "connection", since: "6.2.0", complexity: "O(1)",
			summary: "Reset the connection",
			exec:    reset,
		},
		{
			name: "client", arity: -2, cats: "@slow",
			group: "connection", since: "2.4.0", complexity: "Depends on subcommand.",
			summary: "A container for client connection commands",
			subs:    clientSubcommands(),
		},
		{
			name: "readonly", arity: 1, flags: "loading stale fast", cats: "@fast @connection",
			group: "cluster", since: "3.0.0", complexity: "O(1)",
			summary: "Enables read queries for a connection to a cluster replica node",
			exec:    okCommand,
		},
		{
			name: "readwrite", arity: 1, flags: "loading stale fast", cats: "@fast @connection",
			group: "cluster", since: "3.0.0", complexity: "O(1)",
			summary: "Disables read queries for a connection to a cluster replica node",
			exec:    okCommand,
		},
		{
			name: "asking", arity: 1, flags: "fast", cats: "@fast @connection",
			group: "cluster", since: "3.0.0", complexity: "O(1)",
			summary: "Sent by cluster clients after an -ASK redirect",
			exec:    okCommand,
		},
	}
}
