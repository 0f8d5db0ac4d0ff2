package resp

// glob reports whether s matches a pattern as Redis's KEYS and SCAN know them:
// *, ?, [a-z], [^a-z], and \ before a character that is meant as it is. It
// takes at most len(pattern)*len(s) steps.
func glob(pattern, s []byte) bool {
	p, star, from := 0, -1, 0
	for i := 0; i < len(s); {
		if p < len(pattern) && pattern[p] == '*' {
			star, from = p, i
			p++
			continue
		}
		if n, ok := globOne(pattern[p:], s[i]); ok {
			p += n
			i++
			continue
		}
		if star < 0 {
			return false
		}
		from++ // the last star takes one more
		p, i = star+1, from
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// globOne matches one character; n is the length of what matched it.
func globOne(p []byte, c byte) (n int, ok bool) {
	if len(p) == 0 {
		return 0, false
	}
	switch p[0] {
	case '?':
		return 1, true
	case '[':
		return globClass(p, c)
	case '\\':
		if len(p) > 1 {
			return 2, p[1] == c
		}
	}
	return 1, p[0] == c
}

// globClass matches one character to a class, which may end with the pattern.
func globClass(p []byte, c byte) (n int, ok bool) {
	n = 1
	not := n < len(p) && p[n] == '^'
	if not {
		n++
	}
	match := false
	for n < len(p) && p[n] != ']' {
		switch rest := p[n:]; {
		case rest[0] == '\\' && len(rest) >= 2:
			match = match || rest[1] == c
			n += 2
		case len(rest) >= 3 && rest[1] == '-':
			lo, hi := min(rest[0], rest[2]), max(rest[0], rest[2])
			match = match || c >= lo && c <= hi
			n += 3
		default:
			match = match || rest[0] == c
			n++
		}
	}
	return min(n+1, len(p)), match != not
}
