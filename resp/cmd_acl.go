package resp

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// There is one user, who may do everything.
const allKeys, allChannels, allCommands = "~*", "&*", "+@all"

// categories are the ACL categories, as Redis orders them.
var categories = []string{
	"keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo",
	"stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
}

// Faults of users.
const (
	errOneUser = fault("ERR there is one user, default, who may do everything: CONFIG SET requirepass sets its password")
	errACLFile = fault("ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command " +
		"and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.")
	errGenPass = fault("ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096")
)

func aclWhoAmI(b *batch, _ [][]byte) { b.str(defaultUser) }

func aclUsers(b *batch, _ [][]byte) {
	b.array(1)
	b.str(defaultUser)
}

func (s *Server) passwordHash() string {
	password := s.settings().password
	if password == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}

func aclList(b *batch, _ [][]byte) {
	secret := "nopass"
	if h := b.s.passwordHash(); h != "" {
		secret = "#" + h
	}
	b.array(1)
	b.str(fmt.Sprintf("user %s on %s %s %s %s", defaultUser, secret, allKeys, allChannels, allCommands))
}

func aclGetUser(b *batch, args [][]byte) {
	if string(args[2]) != defaultUser {
		b.null()
		return
	}
	hash := b.s.passwordHash()
	b.mapping(6)
	b.str("flags")
	if hash == "" {
		b.set(2)
		b.str("on")
		b.str("nopass")
	} else {
		b.set(1)
		b.str("on")
	}
	b.str("passwords")
	if hash == "" {
		b.array(0)
	} else {
		b.array(1)
		b.str(hash)
	}
	b.field("commands", allCommands)
	b.field("keys", allKeys)
	b.field("channels", allChannels)
	b.str("selectors")
	b.array(0)
}

// aclCat answers the categories, or the commands of one.
func aclCat(b *batch, args [][]byte) {
	if len(args) > 3 {
		b.fail(errSubcommandArgs(args))
		return
	}
	if len(args) == 2 {
		b.array(len(categories))
		for _, c := range categories {
			b.str(c)
		}
		return
	}
	for _, c := range categories {
		if strings.EqualFold(string(args[2]), c) {
			b.names(func(r *row) bool { return contains(r.cats, "@"+c) })
			return
		}
	}
	b.error(fmt.Sprintf("ERR Unknown category '%s'", quote(args[2], quotedName)))
}

// aclGenPass answers random bits, 256 if it is not told otherwise, in hex.
func aclGenPass(b *batch, args [][]byte) {
	const byDefault, most, perDigit = 256, 4096, 4
	bits := int64(byDefault)
	if len(args) > 3 {
		b.fail(errSubcommandArgs(args))
		return
	}
	if len(args) == 3 {
		var err error
		if bits, err = parseInt(args[2]); err != nil {
			b.fail(err)
			return
		}
		if bits < 1 || bits > most {
			b.fail(errGenPass)
			return
		}
	}
	digits := int(bits+perDigit-1) / perDigit
	secret := make([]byte, (digits+1)/2)
	rand.Read(secret) // never fails
	b.str(hex.EncodeToString(secret)[:digits])
}

func aclDryRun(b *batch, args [][]byte) {
	if string(args[2]) != defaultUser {
		b.error(fmt.Sprintf("ERR User '%s' not found", quoteAll(args[2])))
		return
	}
	r := b.s.table.find(args[3:])
	switch {
	case r == nil:
		b.error(fmt.Sprintf("ERR Command '%s' not found", quoteAll(args[3])))
	case !r.takes(len(args) - 3):
		b.fail(errArity(r.name))
	default:
		b.ok()
	}
}

func aclDelUser(b *batch, args [][]byte) {
	for _, a := range args[2:] {
		if string(a) == defaultUser {
			b.error("ERR The 'default' user cannot be removed")
			return
		}
	}
	b.int(0)
}

func aclSetUser(b *batch, _ [][]byte) { b.fail(errOneUser) }
func aclLoad(b *batch, _ [][]byte)    { b.fail(errACLFile) }
func aclSave(b *batch, _ [][]byte)    { b.fail(errACLFile) }

func aclHelp(b *batch, _ [][]byte) {
	b.help("ACL",
		"CAT [<category>]",
		"    List all commands that belong to <category>, or all command categories",
		"    when no category is specified.",
		"DELUSER <username> [<username> ...]",
		"    Delete a list of users.",
		"DRYRUN <username> <command> [<arg> ...]",
		"    Returns whether the user can execute the given command without executing the command.",
		"GETUSER <username>",
		"    Get the user's details.",
		"GENPASS [<bits>]",
		"    Generate a secure 256-bit user password. The optional `bits` argument can",
		"    be used to specify a different size.",
		"LIST",
		"    Show users details in config file format.",
		"LOAD",
		"    Reload users from the ACL file.",
		"LOG [<count> | RESET]",
		"    Show the ACL log entries.",
		"SAVE",
		"    Save the current config to the ACL file.",
		"SETUSER <username> <attribute> [<attribute> ...]",
		"    Create or modify a user with the specified attributes.",
		"USERS",
		"    List all the registered usernames.",
		"WHOAMI",
		"    Return the current connection username.")
}

// Modules do not exist here, and what would load one answers as a Redis that
// was not told otherwise.
const errModules = fault(`ERR MODULE command not allowed. If the enable-module-command option is set to "local", you can run it from a local connection, ` +
	`otherwise you need to set this option in the configuration file, and then restart the server.`)

func moduleList(b *batch, _ [][]byte) { b.array(0) }

func moduleHelp(b *batch, _ [][]byte) {
	b.help("MODULE",
		"LIST",
		"    Return a list of loaded modules.",
		"LOAD <path> [<arg> ...]",
		"    Load a module library from <path>, passing to it any optional arguments.",
		"LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]",
		"    Load a module library from <path>, while passing it module configurations and optional arguments.",
		"UNLOAD <name>",
		"    Unload a module.")
}
