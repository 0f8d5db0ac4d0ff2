package resp

import (
	"fmt"
	"strings"
)

// clientList lists this node's connections, the oldest first.
func clientList(b *batch, args [][]byte) {
	all, err := b.listed(args[2:])
	if err != nil {
		b.fail(err)
		return
	}
	var text strings.Builder
	for _, c := range all {
		text.WriteString(b.describe(c))
	}
	b.text(text.String())
}

func clientInfo(b *batch, _ [][]byte) { b.text(b.describe(b.ss.client)) }

// listed returns the connections that CLIENT LIST is asked for.
func (b *batch) listed(args [][]byte) (all []*client, err error) {
	switch {
	case len(args) == 0:
		return b.s.clients.all(), nil
	case len(args) == 2 && is(args[0], "TYPE"):
		typ, err := clientType(args[1])
		if err != nil {
			return nil, err
		}
		for _, c := range b.s.clients.all() {
			if c.is(typ) {
				all = append(all, c)
			}
		}
		return all, nil
	case len(args) > 1 && is(args[0], "ID"):
		for _, arg := range args[1:] {
			id, err := parseInt(arg)
			if err != nil {
				return nil, errClientID
			}
			if c := b.s.clients.get(id); c != nil {
				all = append(all, c)
			}
		}
		return all, nil
	}
	return nil, errSyntax
}

// Types of clients.
const (
	typeNormal  = "normal"
	typePubsub  = "pubsub"
	typeReplica = "replica" // there are none
	typeMaster  = "master"  // there are none
)

func clientType(name []byte) (string, error) {
	switch {
	case is(name, "NORMAL"):
		return typeNormal, nil
	case is(name, "PUBSUB"):
		return typePubsub, nil
	case is(name, "REPLICA"), is(name, "SLAVE"):
		return typeReplica, nil
	case is(name, "MASTER"):
		return typeMaster, nil
	}
	return "", fault(fmt.Sprintf("ERR Unknown client type '%s'", quoteAll(name)))
}

// is reports whether the client is of a type.
func (c *client) is(typ string) bool {
	if c.subscriptions() != ([channelKinds]int{}) {
		return typ == typePubsub
	}
	return typ == typeNormal
}

// describe is a line of CLIENT LIST. The last two fields, of Redis 7.2, are
// there where the client has introduced itself.
func (b *batch) describe(c *client) string {
	p, subs, unread := c.shown(), c.subscriptions(), c.unread.Load()
	last := c.last.Load()
	if c == b.ss.client {
		last = b.last
	}
	cmd := "NULL"
	if last != nil {
		cmd = last.name
	}
	waiting, pieces, events := 0, 0, "r"
	if o := c.out.Load(); o != nil {
		if waiting, pieces = o.sizes(); waiting > 0 {
			events = "rw"
		}
	}
	read, room := int(unread>>32), int(uint32(unread))
	line := fmt.Sprintf("id=%d addr=%s laddr=%s fd=%d name=%s age=%d idle=%d flags=%s db=0 sub=%d psub=%d ssub=%d multi=-1 "+
		"qbuf=%d qbuf-free=%d argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=%d omem=%d tot-mem=%d events=%s cmd=%s user=%s redir=-1 resp=%d",
		c.id, c.addr, c.local, c.fd(), p.name, (b.now-c.since)/1000, (b.now-c.active.Load())/1000, c.flags(p, subs),
		subs[plainChannel], subs[channelPattern], subs[shardChannel],
		read, room, pieces, waiting, read+room+waiting, events, cmd, defaultUser, p.proto)
	if p.libs != [2]string{} {
		line += " lib-name=" + p.libs[0] + " lib-ver=" + p.libs[1]
	}
	return line + "\n"
}

// flags are a letter for each thing that is out of the ordinary.
func (c *client) flags(p profile, subs [channelKinds]int) (flags string) {
	for _, f := range []struct {
		is     bool
		letter string
	}{
		{p.monitor, "O"},
		{subs != [channelKinds]int{}, "P"},
		{c.sock != nil && c.sock.LocalAddr().Network() == "unix", "U"},
		{p.noEvict, "e"},
		{p.noTouch, "T"},
	} {
		if f.is {
			flags += f.letter
		}
	}
	if flags == "" {
		return "N"
	}
	return flags
}

// clientKill ends connections of this node: the one from an address, or those
// that all of the filters fit.
func clientKill(b *batch, args [][]byte) {
	if len(args) == 3 {
		f := killFilter{addr: args[2], me: true}
		if b.kill(&f) == 0 {
			b.fail(errNoClient)
		} else {
			b.ok()
		}
		return
	}
	var f killFilter
	if err := f.parse(args[2:]); err != nil {
		b.fail(err)
		return
	}
	b.int(b.kill(&f))
}

// killFilter is which connections CLIENT KILL ends.
type killFilter struct {
	id          int64 // 0: any
	typ         string
	addr, local []byte // nil: any
	me          bool   // this connection too
}

func (f *killFilter) parse(args [][]byte) (err error) {
	for ; len(args) > 0; args = args[2:] {
		if len(args) < 2 {
			return errSyntax
		}
		switch value := args[1]; {
		case is(args[0], "ID"):
			if f.id, err = parseInt(value); err != nil || f.id < 1 {
				return errKillID
			}
		case is(args[0], "TYPE"):
			if f.typ, err = clientType(value); err != nil {
				return err
			}
		case is(args[0], "ADDR"):
			f.addr = value
		case is(args[0], "LADDR"):
			f.local = value
		case is(args[0], "USER"):
			if string(value) != defaultUser {
				return fault(fmt.Sprintf("ERR No such user '%s'", quoteAll(value)))
			}
		case is(args[0], "SKIPME") && (is(value, "YES") || is(value, "NO")):
			f.me = is(value, "NO")
		default:
			return errSyntax
		}
	}
	return nil
}

func (f *killFilter) fits(c *client) bool {
	return (f.id == 0 || c.id == f.id) &&
		(f.typ == "" || c.is(f.typ)) &&
		(f.addr == nil || string(f.addr) == c.addr) &&
		(f.local == nil || string(f.local) == c.local)
}

// kill ends the connections that the filter fits, its own when it has been
// answered, and returns how many.
func (b *batch) kill(f *killFilter) (n int64) {
	for _, c := range b.s.clients.all() {
		switch {
		case !f.fits(c):
			continue
		case c != b.ss.client:
			b.s.clients.remove(c) // now, whenever its goroutine ends
			c.kill()
		case !f.me:
			continue
		default:
			b.ss.closed = true
		}
		n++
	}
	return n
}
