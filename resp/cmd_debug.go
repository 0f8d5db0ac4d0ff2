package resp

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// errDebug refuses clients from elsewhere: it is for tests on one machine.
const errDebug = fault(`ERR DEBUG command not allowed: this server takes it from a local connection only`)

// debugCommands are DEBUG's subcommands, each with how many arguments it takes
// behind its name.
var debugCommands = map[string]struct {
	least, most int
	run         func(b *batch, args [][]byte)
}{
	"SLEEP":             {1, 1, debugSleep},
	"OBJECT":            {1, 1, debugObject},
	"SET-ACTIVE-EXPIRE": {1, 1, debugIgnored},
	"ERROR":             {1, 1, debugError},
	"LOG":               {1, 1, debugLog},
	"PROTOCOL":          {1, 1, debugProtocol},
	"CHANGE-REPL-ID":    {0, 0, debugIgnored},
	"HELP":              {0, 0, debugHelp},
}

// debugging is for tests of clients.
func debugging(b *batch, args [][]byte) {
	host, _, err := net.SplitHostPort(b.ss.addr)
	if ip := net.ParseIP(host); err == nil && ip != nil && !ip.IsLoopback() {
		b.fail(errDebug)
		return
	}
	c, ok := debugCommands[upper(args[1])]
	if n := len(args) - 2; !ok || n < c.least || n > c.most {
		b.fail(errSubcommandArgs(args))
		return
	}
	c.run(b, args[2:])
}

// debugSleep keeps this connection waiting, in Redis the whole server.
func debugSleep(b *batch, args [][]byte) {
	seconds, _ := strconv.ParseFloat(string(args[0]), 64)
	timer := time.NewTimer(time.Duration(max(seconds, 0) * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.ctx.Done():
	}
	b.ok()
}

// debugIgnored takes what changes nothing here.
func debugIgnored(b *batch, _ [][]byte) { b.ok() }

func debugError(b *batch, args [][]byte) { b.error(string(args[0])) }

func debugLog(b *batch, args [][]byte) {
	b.s.log.Warn("a client's DEBUG LOG", "text", string(args[0]))
	b.ok()
}

// debugObject tells how Redis would keep a value.
func debugObject(b *batch, args [][]byte) {
	v, err := b.fetchValue(args[0])
	if err == nil && v == nil {
		err = errNoKey
	}
	if err != nil {
		b.fail(err)
		return
	}
	b.simple(fmt.Sprintf("Value at:0x0 refcount:1 encoding:%s serializedlength:%d lru:0 lru_seconds_idle:0", encodingOf(v.value), len(v.value)+1))
}

// debugProtocol answers one reply of each kind, for tests of parsers.
func debugProtocol(b *batch, args [][]byte) {
	old := b.proto < resp3
	switch strings.ToLower(string(args[0])) {
	case "string":
		b.str("Hello World")
	case "integer":
		b.int(12345)
	case "double":
		if old {
			b.str("3.141")
		} else {
			b.raw([]byte(",3.141\r\n"))
		}
	case "null":
		b.null()
	case "array":
		b.array(3)
		for i := range int64(3) {
			b.int(i)
		}
	case "set":
		b.set(3)
		for i := range int64(3) {
			b.int(i)
		}
	case "map":
		b.mapping(3)
		for i := range int64(3) {
			b.int(i)
			b.truth(i == 1)
		}
	case "bignum":
		const number = "1234567999999999999999999999999999999"
		if old {
			b.str(number)
		} else {
			b.raw([]byte("(" + number + "\r\n"))
		}
	case "true":
		b.truth(true)
	case "false":
		b.truth(false)
	case "verbatim":
		b.text("This is a verbatim\nstring")
	case "attrib":
		b.debugAttribute(old)
	case "push":
		b.debugPush(old)
	default:
		b.error("ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false")
	}
}

func (b *batch) debugAttribute(old bool) {
	if !old {
		b.header('|', 1)
		b.str("key-popularity")
		b.array(2)
		b.str("key:123")
		b.int(90)
	}
	b.str("Some real reply following the attribute")
}

func (b *batch) debugPush(old bool) {
	if old {
		b.error("ERR RESP2 is not supported by this command")
		return
	}
	b.header('>', 2)
	b.str("server-cpu-usage")
	b.int(42)
}

// truth appends yes or no as RESP3 has it.
func (r *reply) truth(yes bool) {
	switch {
	case r.proto < resp3:
		r.bool(yes)
	case yes:
		r.buf = append(r.buf, "#t\r\n"...)
	default:
		r.buf = append(r.buf, "#f\r\n"...)
	}
}

func debugHelp(b *batch, _ [][]byte) {
	b.help("DEBUG",
		"CHANGE-REPL-ID",
		"    Does nothing here: there is no replication id.",
		"ERROR <string>",
		"    Answers <string> as an error.",
		"LOG <message>",
		"    Writes <message> to this node's log.",
		"OBJECT <key>",
		"    Shows how Redis would keep the value of <key>.",
		"PROTOCOL <type>",
		"    Answers a value of <type>: string, integer, double, bignum, null, array,",
		"    set, map, attrib, push, verbatim, true, false.",
		"SET-ACTIVE-EXPIRE <0|1>",
		"    Does nothing here: a key has expired when its time is up, on every node.",
		"SLEEP <seconds>",
		"    Keeps this connection waiting for <seconds>. Decimals allowed.")
}
