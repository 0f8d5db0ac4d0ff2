package resp

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// fault is an error that is a reply's text already, code first.
type fault string

func (f fault) Error() string { return string(f) }

// Faults in Redis 7's words.
const (
	errSyntax       = fault("ERR syntax error")
	errNotInteger   = fault("ERR value is not an integer or out of range")
	errInt32        = fault("ERR value is out of range, value must between -2147483648 and 2147483647")
	errNoAuth       = fault("NOAUTH Authentication required.")
	errWrongPass    = fault("WRONGPASS invalid username-password pair or user is disabled.")
	errNoPassword   = fault("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
	errDBIndex      = fault("ERR DB index is out of range")
	errOverflow     = fault("ERR increment or decrement would overflow")
	errDecrOverflow = fault("ERR decrement would overflow")
	errTooLong      = fault("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
	errCursor       = fault("ERR invalid cursor")
	errClientName   = fault("ERR Client names cannot contain spaces, newlines or special characters.")
	errMaxClients   = fault("ERR max number of clients reached")
	errNoClient     = fault("ERR No such client")
	errClientID     = fault("ERR Invalid client ID")
	errKillID       = fault("ERR client-id should be greater than 0")
	errPauseMode    = fault("ERR CLIENT PAUSE mode must be WRITE or ALL")
	errTimeout      = fault("ERR timeout is not an integer or out of range")
	errNegative     = fault("ERR timeout is negative")
	errUnblock      = fault("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
	errRedirectTo   = fault("ERR The client ID you want redirect to does not exist")
	errRedirects    = fault("ERR A client can only redirect to a single other client")
	errPrefixAlone  = fault("ERR PREFIX option requires BCAST mode to be enabled")
	errBcastAndOpt  = fault("ERR OPTIN and OPTOUT are not compatible with BCAST")
	errInAndOut     = fault("ERR You can't specify both OPTIN mode and OPTOUT mode")
	errCaching      = fault("ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")
	errMonitorKeys  = fault("ERR Replica can't interact with the keyspace")
	errNXAndOthers  = fault("ERR NX and XX, GT or LT options at the same time are not compatible")
	errGTAndLT      = fault("ERR GT and LT options at the same time are not compatible")
	errNoProto      = fault("NOPROTO unsupported protocol version")
	errProtoNumber  = fault("ERR Protocol version is not an integer or out of range")
	errHelloNoAuth  = fault("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
)

// Faults that Redis does not know.
const (
	errShutdown = fault("ERR this node is shutting down, nothing was stored: connect to another one")
	errTimedOut = fault("NOQUORUM the request's time was up before enough owners answered")
	errFailed   = fault("ERR this node's data directory failed, it serves nothing until it is started again: see its log")
	errDamaged  = fault("ERR this node's copy of the key is damaged, and is replaced as soon as enough of the other owners answer: nothing was stored, try again")
	errTracking = fault("ERR CLIENT TRACKING ON is not supported: writes reach a key through any node, and nodes do not tell each other's clients of them")
	errInternal = fault("ERR this node could not carry out the command: see its log")
)

// errNotOneKey answers another node that passes on what it should not.
const errNotOneKey = fault("ERR not a command on one key")

// protectedMode refuses clients from elsewhere while there is no password. The
// first two sentences are Redis's, the ways out are ours.
const protectedMode = fault("DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. " +
	"In this mode connections are only accepted from the loopback interface. " +
	"If you want to connect from external computers you may adopt one of the following solutions: " +
	"1) Start dynaring with --requirepass and authenticate. " +
	"2) Start it with --protected-mode no, if you are SURE that it is not publicly accessible from internet.")

// errNoDelta: a write said that it was done, and not what it wrote.
var errNoDelta = errors.New("resp: a write without a version")

func errArity(name string) fault {
	return fault("ERR wrong number of arguments for '" + name + "' command")
}

func errExpire(name string) fault {
	return fault("ERR invalid expire time in '" + name + "' command")
}

// Lengths that Redis quotes of a client's own words.
const (
	quotedName = 128
	quotedArgs = 128
)

func errUnknownCommand(args [][]byte) fault {
	var b strings.Builder
	fmt.Fprintf(&b, "ERR unknown command '%s', with args beginning with: ", quote(args[0], quotedName))
	for n, i := 0, 1; i < len(args) && n < quotedArgs; i++ {
		arg := "'" + quote(args[i], quotedArgs-n) + "' "
		b.WriteString(arg)
		n += len(arg)
	}
	return fault(b.String())
}

func errUnknownSubcommand(args [][]byte) fault {
	return fault(fmt.Sprintf("ERR unknown subcommand '%s'. Try %s HELP.",
		quote(args[1], quotedName), strings.ToUpper(quote(args[0], quotedName))))
}

// errSubcommandArgs is Redis's error for a subcommand with too many arguments.
func errSubcommandArgs(args [][]byte) fault {
	return fault(fmt.Sprintf("ERR unknown subcommand or wrong number of arguments for '%s'. Try %s HELP.",
		quote(args[1], quotedName), strings.ToUpper(quote(args[0], quotedName))))
}

// quote returns the first n bytes of b, and like C nothing behind a zero byte.
func quote(b []byte, n int) string { return quoteAll(b[:min(n, len(b))]) }

// quoteAll returns all of a client's word but what is behind a zero byte.
func quoteAll[T string | []byte](word T) string {
	s, _, _ := strings.Cut(string(word), "\x00")
	return s
}

// faultOf is the one table from errors to replies. name prints an actor.
// known is false for an error that only the log may tell.
func faultOf(err error, name func(version.Actor) string) (text string, known bool) {
	var f fault
	var uncertain *coordinator.UncertainError
	var noQuorum *coordinator.NoQuorumError
	var damaged *storage.DamagedRowError
	switch {
	case errors.As(err, &f):
		return string(f), true
	case errors.As(err, &noQuorum):
		return "NOQUORUM " + noQuorum.Error(), true
	case errors.As(err, &uncertain):
		return uncertainText(uncertain, name), true
	case errors.Is(err, coordinator.ErrLoading), errors.Is(err, coordinator.ErrNotOwner):
		return "LOADING " + err.Error(), true
	case errors.Is(err, version.ErrBadContext):
		return "BADCONTEXT " + err.Error(), true
	case errors.Is(err, version.ErrNotInteger):
		return string(errNotInteger), true
	case errors.Is(err, version.ErrOverflow):
		return string(errOverflow), true
	case errors.Is(err, version.ErrTooManySiblings):
		return "ERR " + err.Error(), true
	case errors.Is(err, storage.ErrDiskFull):
		return "ERR nothing was stored: " + err.Error(), true
	case errors.As(err, &damaged):
		return string(errDamaged), true
	case errors.Is(err, replica.ErrClosed), errors.Is(err, storage.ErrClosed):
		return string(errShutdown), true
	case errors.Is(err, storage.ErrFailed):
		return string(errFailed), true
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return string(errTimedOut), true
	}
	return string(errInternal), false
}

// faultIs reports whether an error's reply has a code.
func faultIs(err error, code string) bool {
	if err == nil {
		return false
	}
	text, _ := faultOf(err, version.Actor.String)
	return strings.HasPrefix(text, code+" ")
}

// uncertainText begins as users were promised, "UNCERTAIN stored on k of w",
// and names the dot as people know it: by its node.
func uncertainText(e *coordinator.UncertainError, name func(version.Actor) string) string {
	text := "UNCERTAIN " + strings.TrimPrefix(e.Error(), "known to be ")
	if !e.Dot.IsZero() && !e.Lost {
		text = strings.Replace(text, e.Dot.String(), fmt.Sprintf("(%s,%d)", name(e.Dot.Actor), e.Dot.Counter), 1)
	}
	return text
}
