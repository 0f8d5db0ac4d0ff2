package resp

// aclCommands are about users, of which there is one.
func aclCommands() []*row {
	return []*row{
		{
			name: "acl", arity: -2, cats: "@slow",
			group: "server", since: "6.0.0", complexity: "Depends on subcommand.",
			summary: "A container for Access List Control commands ",
			subs: []*row{
				{
					name: "acl|cat", arity: -2, flags: "noscript loading stale", cats: "@slow",
					group: "server", since: "6.0.0", complexity: "O(1) since the categories and commands are a fixed set.",
					summary: "List the ACL categories or the commands inside a category",
					args: []argument{
						str("categoryname").opt(),
					},
					exec: aclCat,
				},
				{
					name: "acl|deluser", arity: -3, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					group: "server", since: "6.0.0", complexity: "O(1) amortized time considering the typical user.",
					summary: "Remove the specified ACL users and the associated rules",
					args: []argument{
						str("username").many(),
					},
					partly: "there is one user, default",
					exec:   aclDelUser,
				},
				{
					name: "acl|dryrun", arity: -4, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					group: "server", since: "7.0.0", complexity: "O(1).",
					summary: "Returns whether the user can execute the given command without executing the command.",
					args: []argument{
						str("username"),
						str("command"),
						str("arg").opt().many(),
					},
					exec: aclDryRun,
				},
				{
					name: "acl|genpass", arity: -2, flags: "noscript loading stale", cats: "@slow",
					group: "server", since: "6.0.0", complexity: "O(1)",
					summary: "Generate a pseudorandom secure password to use for ACL users",
					args: []argument{
						integer("bits").opt(),
					},
					exec: aclGenPass,
				},
				{
					name: "acl|getuser", arity: 3, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					group: "server", since: "6.0.0", complexity: "O(N). Where N is the number of password, command and pattern rules that the user has.",
					summary: "Get the rules for a specific ACL user",
					history: []change{
						{"6.2.0", "Added Pub/Sub channel patterns."},
						{"7.0.0", "Added selectors and changed the format of key and channel patterns from a list to their rule representation."},
					},
					args: []argument{
						str("username"),
					},
					exec: aclGetUser,
				},
				{
					name: "acl|help", arity: 2, flags: "loading stale", cats: "@slow",
					group: "server", since: "6.0.0", complexity: "O(1)",
					summary: "Show helpful text about the different subcommands",
					exec:    aclHelp,
				},
				{
					name: "acl|list", arity: 2, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					group: "server", since: "6.0.0", complexity: "O(N). Where N is the number of configured users.",
					summary: "List the current ACL rules in ACL config file format",
					partly:  "there is one user, default",
					exec:    aclList,
				},
				{
					name: "acl|load", arity: 2, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					group: "server", since: "6.0.0", complexity: "O(N). Where N is the number of configured users.",
					summary: "Reload the ACLs from the configured ACL file",
					partly:  "no ACL file",
					exec:    aclLoad,
				},
				{
					name: "acl|log", arity: -2, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					group: "server", since: "6.0.0", complexity: "O(N) with N being the number of entries shown.",
					summary: "List latest events denied because of ACLs in place",
					args: []argument{
						oneOf("operation", integer("count"), word("reset", "RESET")).opt(),
					},
					partly: "failed authentications: nothing else is denied to the one user",
					exec:   aclLog,
				},
				{
					name: "acl|save", arity: 2, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					group: "server", since: "6.0.0", complexity: "O(N). Where N is the number of configured users.",
					summary: "Save the current ACL rules in the configured ACL file",
					partly:  "no ACL file",
					exec:    aclSave,
				},
				{
					name: "acl|setuser", arity: -3, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					group: "server", since: "6.0.0", complexity: "O(N). Where N is the number of rules provided.",
					summary: "Modify or create the rules for a specific ACL user",
					history: []change{
						{"6.2.0", "Added Pub/Sub channel patterns."},
						{"7.0.0", "Added selectors and key based permissions."},
					},
					args: []argument{
						str("username"),
						str("rule").opt().many(),
					},
					partly: "refused: there is one user, default",
					exec:   aclSetUser,
				},
				{
					name: "acl|users", arity: 2, flags: "admin noscript loading stale", cats: "@admin @slow @dangerous",
					group: "server", since: "6.0.0", complexity: "O(N). Where N is the number of configured users.",
					summary: "List the username of all the configured ACL rules",
					exec:    aclUsers,
				},
				{
					name: "acl|whoami", arity: 2, flags: "noscript loading stale", cats: "@slow",
					group: "server", since: "6.0.0", complexity: "O(1)",
					summary: "Return the name of the user associated to the current connection",
					exec:    aclWhoAmI,
				},
			},
		},
	}
}
