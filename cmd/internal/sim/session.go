package sim

import (
	"errors"
	"strconv"
	"time"

	"github.com/dynaring/dynaring/storage/version"
)

// requestTimeout bounds a client's request: well above a node's own bound, so
// that only a lost node or network keeps a client from an answer.
const requestTimeout = 3 * time.Second

// Session is a client that records what it does. R and W of its operations are
// what the nodes do without being told otherwise.
type Session struct {
	Name    string
	R, W    int
	history *History
	client  *Client
	node    string
}

// NewSession returns a client on a host, which is not connected yet.
func NewSession(host *Host, h *History, r, w int) *Session {
	return &Session{Name: host.name, R: r, W: w, history: h, client: NewClient(host, "", requestTimeout)}
}

// Use makes the node the one that is talked to from now on.
func (s *Session) Use(n *Node) {
	if n.Name != s.node {
		s.client.Close()
		s.node, s.client.addr = n.Name, n.Addr()
	}
}

// Close hangs up.
func (s *Session) Close() { s.client.Close() }

// Do runs operations, of which the kind, the key and the arguments are given,
// in one pipeline, and records what became of them. lost is true if the node
// did not answer.
func (s *Session) Do(ops ...*Op) (lost bool) {
	commands := make([][]string, len(ops))
	start := s.history.Since()
	for i, o := range ops {
		o.Client, o.Node, o.Start = s.Name, s.node, start
		if o.R == 0 {
			o.R = s.R
		} else {
			o.Kind.mustTakeR()
		}
		if o.W == 0 {
			o.W = s.W
		}
		commands[i] = o.command(s)
	}
	replies, err := s.client.Pipeline(commands...)
	for i, o := range ops {
		o.End = s.history.Since()
		if err != nil {
			o.fail(err)
		} else {
			o.take(replies[i])
		}
		s.history.Add(*o)
	}
	return err != nil
}

// mustTakeR: only DGET has a word for R.
func (k Kind) mustTakeR() {
	if k != DGet {
		panic("sim: R given to " + k.String())
	}
}

// command returns the operation as it is sent.
func (o *Op) command(s *Session) []string {
	args := []string{o.Kind.String(), o.Key}
	switch o.Kind {
	case Incr:
		args = append(args, strconv.FormatInt(o.By, 10))
	case Set, DPut:
		args = append(args, o.Value)
	}
	if o.Given != nil {
		args = append(args, "CONTEXT", o.Given.Token([]byte(o.Key)))
	}
	if o.Kind == DGet && o.R != s.R {
		args = append(args, "R", strconv.Itoa(o.R))
	}
	if o.Kind > DGet && o.W != s.W {
		args = append(args, "W", strconv.Itoa(o.W))
	}
	if o.TTL > 0 {
		args = append(args, "PX", strconv.FormatInt(o.TTL.Milliseconds(), 10))
	}
	return args
}

// fail notes why there is no reply, and what that means.
func (o *Op) fail(err error) {
	o.Err = err.Error()
	var said ReplyError
	switch {
	case errors.Is(err, ErrNotSent):
		o.Outcome = Failed
	case errors.As(err, &said) && said.Code() != "UNCERTAIN":
		o.Outcome = Failed
	default:
		o.Outcome = Uncertain
	}
}

// take reads the reply.
func (o *Op) take(reply any) {
	ok := true
	switch r := reply.(type) {
	case ReplyError:
		o.fail(r)
	case nil:
		ok = o.Kind == Get
	case int64:
		o.Number = r
		ok = o.Kind == Incr || o.Kind == Del
	case string:
		switch o.Kind {
		case Get:
			o.Values = []string{r}
		case DPut, DDel:
			ok = o.takeContext(r)
		default:
			ok = o.Kind == Set && r == "OK"
		}
	case []any:
		ok = o.Kind == DGet && o.takeSiblings(r)
	}
	if !ok {
		o.Outcome, o.Err = Failed, unexpected+FormatReply(reply, nil)
	}
}

// unexpected begins the Err of a reply that makes no sense.
const unexpected = "unexpected reply "

func (o *Op) takeContext(token string) bool {
	var err error
	o.Got, err = version.ParseContext(token, []byte(o.Key))
	return err == nil
}

// takeSiblings reads [context values], as DGET answers.
func (o *Op) takeSiblings(reply []any) bool {
	if len(reply) != 2 {
		return false
	}
	switch context := reply[0].(type) {
	case nil:
	case string:
		if !o.takeContext(context) {
			return false
		}
	default:
		return false
	}
	values, ok := reply[1].([]any)
	for _, v := range values {
		s, isString := v.(string)
		if !isString {
			return false
		}
		o.Values = append(o.Values, s)
	}
	return ok
}
