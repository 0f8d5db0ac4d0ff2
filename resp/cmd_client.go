package resp

import (
	"bytes"
	"fmt"
	"time"
)

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
	b.ss.client.show(b.ss.profile)
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
		b.ss.client.show(b.ss.profile)
		b.ok()
		return
	}
	b.error(fmt.Sprintf("ERR Unrecognized option '%s'", quoteAll(args[2])))
}

// clientNoEvict and clientNoTouch (of Redis 7.2) note what they are told: no
// client is ever evicted, and no key's age is kept.
func clientNoEvict(b *batch, args [][]byte) { b.onOff(args[2], &b.ss.noEvict) }
func clientNoTouch(b *batch, args [][]byte) { b.onOff(args[2], &b.ss.noTouch) }

func (b *batch) onOff(arg []byte, flag *bool) {
	on := is(arg, "ON")
	if !on && !is(arg, "OFF") {
		b.fail(errSyntax)
		return
	}
	*flag = on
	b.ss.client.show(b.ss.profile)
	b.ok()
}

func clientReply(b *batch, args [][]byte) {
	switch arg := args[2]; {
	case is(arg, "ON"):
		b.ss.mute = muteNone
		b.ok()
	case is(arg, "OFF"):
		b.ss.mute = muteAll
	case !is(arg, "SKIP"):
		b.fail(errSyntax)
	case b.ss.mute != muteAll:
		b.ss.mute = muteSkip
	}
}

func clientPause(b *batch, args [][]byte) {
	all := len(args) < 4 || is(args[3], "ALL")
	ms, err := parseInt(args[2])
	switch {
	case len(args) > 4:
		b.fail(errSubcommandArgs(args))
	case !all && !is(args[3], "WRITE"):
		b.fail(errPauseMode)
	case err != nil:
		b.fail(errTimeout)
	case ms < 0:
		b.fail(errNegative)
	default:
		d := time.Duration(min(ms, maxPause.Milliseconds())) * time.Millisecond
		b.s.pause.begin(time.Now(), d, all)
		b.special = b.isSpecial()
		b.ok()
	}
}

func clientUnpause(b *batch, _ [][]byte) {
	b.s.pause.end()
	b.ok()
}

// clientUnblock finds nobody: no command blocks.
func clientUnblock(b *batch, args [][]byte) {
	_, err := parseInt(args[2])
	switch {
	case len(args) > 4:
		b.fail(errSubcommandArgs(args))
	case len(args) == 4 && !is(args[3], "TIMEOUT") && !is(args[3], "ERROR"):
		b.fail(errUnblock)
	case err != nil:
		b.fail(err)
	default:
		b.int(0)
	}
}

func clientGetRedir(b *batch, _ [][]byte) { b.int(-1) }

func clientCaching(b *batch, _ [][]byte) { b.fail(errCaching) }

func clientTrackingInfo(b *batch, _ [][]byte) {
	b.mapping(3)
	b.str("flags")
	b.set(1)
	b.str("off")
	b.str("redirect")
	b.int(-1)
	b.str("prefixes")
	b.array(0)
}

// tracking is what CLIENT TRACKING was told.
type tracking struct {
	redirect             bool
	bcast, optin, optout bool
	prefixes             [][]byte
}

// clientTracking turns tracking off, which it always is, and refuses to turn it
// on, after it has looked at the options as Redis does.
func clientTracking(b *batch, args [][]byte) {
	var t tracking
	err := t.parse(b.s, args[3:])
	switch on := is(args[2], "ON"); {
	case err != nil:
	case on:
		if err = t.check(); err == nil {
			err = errTracking
		}
	case !is(args[2], "OFF"):
		err = errSyntax
	}
	if err != nil {
		b.fail(err)
		return
	}
	b.ok()
}

func (t *tracking) parse(s *Server, args [][]byte) error {
	for i := 0; i < len(args); i++ {
		more := i+1 < len(args)
		switch {
		case is(args[i], "REDIRECT") && more:
			i++
			if t.redirect {
				return errRedirects
			}
			id, err := parseInt(args[i])
			if err != nil {
				return err
			}
			if s.clients.get(id) == nil {
				return errRedirectTo
			}
			t.redirect = true
		case is(args[i], "BCAST"):
			t.bcast = true
		case is(args[i], "OPTIN"):
			t.optin = true
		case is(args[i], "OPTOUT"):
			t.optout = true
		case is(args[i], "NOLOOP"):
		case is(args[i], "PREFIX") && more:
			i++
			t.prefixes = append(t.prefixes, args[i])
		default:
			return errSyntax
		}
	}
	return nil
}

// check says what does not go together.
func (t *tracking) check() error {
	switch {
	case !t.bcast && len(t.prefixes) > 0:
		return errPrefixAlone
	case t.bcast && (t.optin || t.optout):
		return errBcastAndOpt
	case t.optin && t.optout:
		return errInAndOut
	}
	for i, p := range t.prefixes {
		for _, q := range t.prefixes[i+1:] {
			if bytes.HasPrefix(p, q) || bytes.HasPrefix(q, p) {
				return fault(fmt.Sprintf("ERR Prefix '%s' overlaps with another provided prefix '%s'. Prefixes for a single client must not overlap.", quoteAll(p), quoteAll(q)))
			}
		}
	}
	return nil
}

func clientHelp(b *batch, _ [][]byte) {
	b.help("CLIENT",
		"CACHING (YES|NO)",
		"    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
		"GETREDIR",
		"    Return the client ID we are redirecting to when tracking is enabled.",
		"GETNAME",
		"    Return the name of the current connection.",
		"ID",
		"    Return the ID of the current connection.",
		"INFO",
		"    Return information about the current client connection.",
		"KILL <ip:port>",
		"    Kill connection made from <ip:port>.",
		"KILL <option> <value> [<option> <value> [...]]",
		"    Kill connections. Options are:",
		"    * ADDR (<ip:port>|<unixsocket>:0)",
		"      Kill connections made from the specified address",
		"    * LADDR (<ip:port>|<unixsocket>:0)",
		"      Kill connections made to specified local address",
		"    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
		"      Kill connections by type.",
		"    * USER <username>",
		"      Kill connections authenticated by <username>.",
		"    * SKIPME (YES|NO)",
		"      Skip killing current connection (default: yes).",
		"LIST [options ...]",
		"    Return information about client connections. Options:",
		"    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
		"      Return clients of specified type.",
		"UNPAUSE",
		"    Stop the current client pause, resuming traffic.",
		"PAUSE <timeout> [WRITE|ALL]",
		"    Suspend all, or just write, clients for <timeout> milliseconds.",
		"REPLY (ON|OFF|SKIP)",
		"    Control the replies sent to the current connection.",
		"SETNAME <name>",
		"    Assign the name <name> to the current connection.",
		"UNBLOCK <clientid> [TIMEOUT|ERROR]",
		"    Unblock the specified blocked client.",
		"TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
		"         [OPTIN] [OPTOUT] [NOLOOP]",
		"    Control server assisted client side caching.",
		"TRACKINGINFO",
		"    Report tracking status for the current connection.",
		"NO-EVICT (ON|OFF)",
		"    Protect current client connection from eviction.")
}
