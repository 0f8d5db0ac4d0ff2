package version

import "strconv"

// Flags mark a version.
type Flags uint8

// Tombstone marks a version without a value: a delete.
const Tombstone Flags = 1

// knownFlags are the bits that format 1 gives a meaning to.
const knownFlags = Tombstone

// Version is one write's result: a sibling while nothing has replaced it.
type Version struct {
	Dot    Dot
	Past   Past      // the dots that the writer had seen, Dot not among them
	Time   Timestamp // when the write was coordinated
	Flags  Flags
	Expiry int64  // Unix ms from which the version is a tombstone; 0: never
	Seen   []Seen // counter totals that the writer had seen, sorted by actor
	Value  []byte // nil in a tombstone, or where it was dropped
}

// Dead reports whether v is a tombstone at the Unix time now, in ms. An
// expired version is one on every node, without any message.
func (v *Version) Dead(now int64) bool {
	return v.Flags&Tombstone != 0 || v.expired(now)
}

func (v *Version) expired(now int64) bool { return v.Expiry != 0 && now >= v.Expiry }

// Clock returns the version's vector clock: its past and its dot.
func (v *Version) Clock() Past { return v.Past.With(v.Dot, v.Time) }

// newer orders versions for plain reads: by time, ties by dot.
func (v *Version) newer(w *Version) bool {
	if v.Time != w.Time {
		return v.Time > w.Time
	}
	return v.Dot.Compare(w.Dot) > 0
}

// Seen is how much of one actor's increments a writer had seen.
type Seen struct {
	Actor Actor
	Count uint64 // increments
	Sum   int64  // their sum, modulo 2^64
}

// Total is everything one actor has added to a cell since the cell began. It
// only grows: a reset is a version that has seen it.
type Total struct {
	Actor Actor
	Count uint64 // increments
	Sum   int64  // their sum, modulo 2^64
	Base  Dot    // the version that the last one was applied on
	// From is the count behind which the sum began, where what came before was
	// collected with its cell (law 3): whoever has seen only that has seen
	// nothing of this sum. 0: it began with the first increment.
	From uint64
}

// unseen returns what the totals hold beyond what v's writer had seen, and
// whether there is anything. On an expired version only increments applied to
// something newer count; the others expired with it.
func (v *Version) unseen(totals []Total, now int64) (sum int64, any bool) {
	gone := v.Flags&Tombstone == 0 && v.expired(now)
	for _, t := range totals {
		seen := findSeen(v.Seen, t.Actor)
		if t.Count <= seen.Count {
			continue
		}
		if seen.Count <= t.From {
			seen.Sum = 0
		}
		if gone && (t.Base == v.Dot || v.Past.Contains(t.Base)) {
			continue
		}
		sum, any = sum+t.Sum-seen.Sum, true
	}
	return sum, any
}

func findSeen(seen []Seen, a Actor) Seen {
	for _, s := range seen {
		if s.Actor == a {
			return s
		}
	}
	return Seen{Actor: a}
}

// maxIntegerLen is the length of the longest 64-bit decimal.
const maxIntegerLen = len("-9223372036854775808")

// ParseInteger reads a value as Redis does: a signed 64-bit decimal in its
// only canonical form, without spaces, plus sign or leading zeros.
func ParseInteger(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > maxIntegerLen {
		return 0, false
	}
	digits := b
	if b[0] == '-' {
		digits = b[1:]
	}
	if len(digits) == 0 || digits[0] == '0' && len(b) > 1 {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	return n, err == nil
}

func formatInteger(n int64) []byte {
	return strconv.AppendInt(make([]byte, 0, maxIntegerLen), n, 10)
}
