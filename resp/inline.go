package resp

// splitInline splits an inline command into its arguments as Redis does
// (sdssplitargs): double quotes with escapes, single quotes with \' alone. ok
// is false where a quote is not closed or not followed by a space. The
// arguments are copies; none are nil.
func splitInline(line []byte) (args [][]byte, ok bool) {
	for i := 0; ; {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i == len(line) {
			return args, true
		}
		arg, n, ok := inlineArg(line[i:])
		if !ok {
			return nil, false
		}
		args = append(args, arg)
		i += n
	}
}

// inlineArg reads one argument, in which quoted parts may follow plain ones;
// n is the bytes read.
func inlineArg(s []byte) (arg []byte, n int, ok bool) {
	arg = []byte{}
	for n < len(s) {
		switch c := s[n]; c {
		case ' ', '\n', '\r', '\t':
			return arg, n, true
		case '"', '\'':
			var used int
			if arg, used, ok = quoted(arg, s[n+1:], c); !ok {
				return nil, 0, false
			}
			return arg, n + 1 + used, true
		default:
			arg = append(arg, c)
			n++
		}
	}
	return arg, n, true
}

// quoted appends the text up to the closing quote to arg; n is the bytes read,
// the quote included.
func quoted(arg, s []byte, quote byte) (_ []byte, n int, ok bool) {
	for n < len(s) {
		c := s[n]
		switch {
		case c == quote:
			n++
			return arg, n, n == len(s) || isSpace(s[n])
		case c == '\\' && quote == '\'' && n+1 < len(s) && s[n+1] == '\'':
			c, n = '\'', n+1
		case c == '\\' && quote == '"' && n+1 < len(s):
			var used int
			c, used = escaped(s[n+1:])
			n += used
		}
		arg = append(arg, c)
		n++
	}
	return nil, 0, false
}

// escaped returns the byte that the text behind a backslash stands for, and
// the text's length.
func escaped(s []byte) (c byte, n int) {
	if len(s) >= 3 && s[0] == 'x' && hexDigit(s[1]) >= 0 && hexDigit(s[2]) >= 0 {
		return byte(hexDigit(s[1])<<4 | hexDigit(s[2])), 3
	}
	switch s[0] {
	case 'n':
		return '\n', 1
	case 'r':
		return '\r', 1
	case 't':
		return '\t', 1
	case 'b':
		return '\b', 1
	case 'a':
		return '\a', 1
	}
	return s[0], 1
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
