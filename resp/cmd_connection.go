package resp

import (
	"fmt"
	"math"
)

func okCommand(b *batch, _ [][]byte) { b.ok() }

func ping(b *batch, args [][]byte) {
	switch len(args) {
	case 1:
		b.simple("PONG")
	case 2:
		b.bulk(args[1])
	default:
		b.fail(errArity("ping"))
	}
}

func echo(b *batch, args [][]byte) { b.bulk(args[1]) }

func quit(b *batch, _ [][]byte) {
	b.ok()
	b.ss.closed = true
}

func reset(b *batch, _ [][]byte) {
	b.ss.reset(b.s.settings().password == "")
	b.proto = b.ss.proto
	b.simple("RESET")
}

// selectDB knows one database, as a cluster does.
func selectDB(b *batch, args [][]byte) {
	n, err := parseInt(args[1])
	switch {
	case err != nil:
		b.fail(err)
	case n < math.MinInt32 || n > math.MaxInt32:
		b.error("ERR value is out of range, value must between -2147483648 and 2147483647")
	case n != 0:
		b.fail(errDBIndex)
	default:
		b.ok()
	}
}

func auth(b *batch, args [][]byte) {
	switch {
	case len(args) > 3:
		b.fail(errSyntax)
	case len(args) == 2 && b.s.settings().password == "":
		b.fail(errNoPassword)
	case len(args) == 2 && !b.s.authenticate(defaultUser, args[1]),
		len(args) == 3 && !b.s.authenticate(string(args[1]), args[2]):
		b.fail(errWrongPass)
	default:
		b.ss.authed = true
		b.ok()
	}
}

// hello negotiates the protocol, authenticates and names the connection. Like
// Redis it keeps a new name, and that it authenticated, if it then fails.
func hello(b *batch, args [][]byte) {
	proto := b.ss.proto
	if len(args) > 1 {
		n, err := parseInt(args[1])
		switch {
		case err != nil:
			b.fail(errProtoNumber)
			return
		case n != resp2 && n != resp3:
			b.fail(errNoProto)
			return
		}
		proto = int(n)
	}
	for i := 2; i < len(args); i++ {
		switch more := len(args) - 1 - i; {
		case is(args[i], "AUTH") && more >= 2:
			if !b.s.authenticate(string(args[i+1]), args[i+2]) {
				b.fail(errWrongPass)
				return
			}
			b.ss.authed = true
			i += 2
		case is(args[i], "SETNAME") && more >= 1:
			if !clientName(args[i+1]) {
				b.fail(errClientName)
				return
			}
			i++
			b.ss.name = string(args[i])
		default:
			b.error(fmt.Sprintf("ERR Syntax error in HELLO option '%s'", args[i]))
			return
		}
	}
	if !b.ss.authed {
		b.fail(errHelloNoAuth)
		return
	}
	b.ss.proto, b.proto = proto, proto
	b.greeting()
}

func (b *batch) greeting() {
	b.mapping(7)
	b.str("server")
	b.str("redis")
	b.str("version")
	b.str(RedisVersion)
	b.str("proto")
	b.int(int64(b.proto))
	b.str("id")
	b.int(b.ss.id)
	b.str("mode")
	b.str(redisMode)
	b.str("role")
	b.str("master")
	b.str("modules")
	b.array(0)
}

// redisMode is what a node says it is: whole by itself, to those who do not
// ask for a cluster.
const redisMode = "standalone"

// clientName reports whether Redis would let a connection have the name.
func clientName(name []byte) bool {
	for _, c := range name {
		if c < '!' || c > '~' {
			return false
		}
	}
	return true
}

func clientID(b *batch, _ [][]byte) { b.int(b.ss.id) }

func clientGetName(b *batch, _ [][]byte) {
	if b.ss.name == "" {
		b.null()
	} else {
		b.str(b.ss.name)
	}
}

func clientSetName(b *batch, args [][]byte) {
	if !clientName(args[2]) {
		b.fail(errClientName)
		return
	}
	b.ss.name = string(args[2])
	b.ok()
}

// clientSetInfo is of Redis 7.2: client libraries introduce themselves by it.
func clientSetInfo(b *batch, args [][]byte) {
	names := [...]string{"lib-name", "lib-ver"}
	for i, w := range [...]string{"LIB-NAME", "LIB-VER"} {
		if !is(args[2], w) {
			continue
		}
		if !clientName(args[3]) {
			b.error("ERR " + names[i] + " cannot contain spaces, newlines or special characters.")
			return
		}
		b.ss.libs[i] = string(args[3])
		b.ok()
		return
	}
	b.error(fmt.Sprintf("ERR Unrecognized option '%s'", args[2]))
}

func clientHelp(b *batch, _ [][]byte) {
	b.help("CLIENT",
		"GETNAME",
		"    Return the name of the current connection.",
		"ID",
		"    Return the ID of the current connection.",
		"SETINFO <LIB-NAME|LIB-VER> <value>",
		"    Set the library that the current connection uses, or its version.",
		"SETNAME <name>",
		"    Assign the name <name> to the current connection.")
}

// help answers a container's HELP, in Redis's form.
func (b *batch) help(name string, lines ...string) {
	b.array(len(lines) + 3)
	b.simple(name + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
	for _, l := range lines {
		b.simple(l)
	}
	b.simple("HELP")
	b.simple("    Prints this help.")
}
