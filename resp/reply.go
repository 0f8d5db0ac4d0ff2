package resp

import "strconv"

// Protocols of a session, as HELLO names them.
const (
	resp2 = 2
	resp3 = 3
)

// reply is a buffer of replies in a session's protocol. Its methods append,
// one whole reply or one header each.
type reply struct {
	buf   []byte
	proto int
}

func (r *reply) raw(b []byte) { r.buf = append(r.buf, b...) }

func (r *reply) ok() { r.buf = append(r.buf, "+OK\r\n"...) }

// simple appends a simple string, which must not hold line ends.
func (r *reply) simple(s string) {
	r.buf = append(r.buf, '+')
	r.buf = append(r.buf, s...)
	r.buf = append(r.buf, '\r', '\n')
}

// error appends an error whose text begins with its code. Line ends, which
// only a client's own words can have brought in, become spaces.
func (r *reply) error(text string) {
	r.buf = append(r.buf, '-')
	at := len(r.buf)
	r.buf = append(r.buf, text...)
	for i := at; i < len(r.buf); i++ {
		if c := r.buf[i]; c == '\r' || c == '\n' {
			r.buf[i] = ' '
		}
	}
	r.buf = append(r.buf, '\r', '\n')
}

func (r *reply) int(n int64) {
	r.buf = append(r.buf, ':')
	r.buf = strconv.AppendInt(r.buf, n, 10)
	r.buf = append(r.buf, '\r', '\n')
}

// bool appends what Redis answers for yes and no: the numbers 1 and 0.
func (r *reply) bool(b bool) {
	if b {
		r.int(1)
	} else {
		r.int(0)
	}
}

func (r *reply) header(kind byte, n int) {
	r.buf = append(r.buf, kind)
	r.buf = strconv.AppendInt(r.buf, int64(n), 10)
	r.buf = append(r.buf, '\r', '\n')
}

func (r *reply) bulk(b []byte) {
	r.header('$', len(b))
	r.buf = append(r.buf, b...)
	r.buf = append(r.buf, '\r', '\n')
}

func (r *reply) str(s string) {
	r.header('$', len(s))
	r.buf = append(r.buf, s...)
	r.buf = append(r.buf, '\r', '\n')
}

// text appends a text for people: a verbatim string in RESP3.
func (r *reply) text(s string) {
	if r.proto < resp3 {
		r.str(s)
		return
	}
	r.header('=', len("txt:")+len(s))
	r.buf = append(r.buf, "txt:"...)
	r.buf = append(r.buf, s...)
	r.buf = append(r.buf, '\r', '\n')
}

func (r *reply) null() {
	if r.proto < resp3 {
		r.buf = append(r.buf, "$-1\r\n"...)
	} else {
		r.buf = append(r.buf, "_\r\n"...)
	}
}

func (r *reply) nullArray() {
	if r.proto < resp3 {
		r.buf = append(r.buf, "*-1\r\n"...)
	} else {
		r.buf = append(r.buf, "_\r\n"...)
	}
}

// array begins an array; n replies follow.
func (r *reply) array(n int) { r.header('*', n) }

// mapping begins a map; n pairs of replies follow. RESP2 has an array of both.
func (r *reply) mapping(n int) {
	if r.proto < resp3 {
		r.header('*', 2*n)
	} else {
		r.header('%', n)
	}
}

// set begins a set; n replies follow. RESP2 has an array.
func (r *reply) set(n int) {
	if r.proto < resp3 {
		r.header('*', n)
	} else {
		r.header('~', n)
	}
}

// push begins what a client did not ask for; n replies follow. RESP2 has an
// array.
func (r *reply) push(n int) {
	if r.proto < resp3 {
		r.header('*', n)
	} else {
		r.header('>', n)
	}
}
