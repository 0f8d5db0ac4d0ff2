package resp

import (
	"bytes"
	"fmt"
)

func okCommand(b *batch, _ [][]byte) { b.ok() }

func ping(b *batch, args [][]byte) {
	switch {
	case len(args) < 3 && b.ss.subscribed && b.proto < resp3:
		b.array(2)
		b.str("pong")
		b.bulk(bytes.Join(args[1:], nil))
	case len(args) == 1:
		b.simple("PONG")
	case len(args) == 2:
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
	if o := b.ss.out.Load(); o != nil {
		o.setMonitor(false)
		b.s.monitors.remove(o)
		b.s.leaveAll(o)
	}
	b.ss.reset(b.s.settings().password == "")
	b.setProto(resp2)
	b.simple("RESET")
}

// selectDB knows one database, as a cluster does.
func selectDB(b *batch, args [][]byte) {
	n, err := parseInt32(args[1])
	switch {
	case err != nil:
		b.fail(err)
	case n != 0 && b.ss.view == ClusterView:
		b.fail(notInCluster("SELECT"))
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
	case len(args) == 2 && !b.authenticate(args, defaultUser, args[1]),
		len(args) == 3 && !b.authenticate(args, string(args[1]), args[2]):
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
			if !b.authenticate(args, string(args[i+1]), args[i+2]) {
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
			b.ss.client.show(b.ss.profile)
		default:
			b.error(fmt.Sprintf("ERR Syntax error in HELLO option '%s'", quoteAll(args[i])))
			return
		}
	}
	if !b.ss.authed {
		b.fail(errHelloNoAuth)
		return
	}
	b.setProto(proto)
	b.greeting()
}

// setProto says in which protocol the client is answered, and pushed to, from
// now on.
func (b *batch) setProto(proto int) {
	b.ss.proto, b.proto = proto, proto
	if o := b.ss.out.Load(); o != nil {
		o.setProto(proto)
	}
	b.modeChanged()
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
	b.str(b.ss.view.mode())
	b.str("role")
	b.str("master")
	b.str("modules")
	b.array(0)
}

// clientName reports whether Redis would let a connection have the name.
func clientName(name []byte) bool {
	for _, c := range name {
		if c < '!' || c > '~' {
			return false
		}
	}
	return true
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
