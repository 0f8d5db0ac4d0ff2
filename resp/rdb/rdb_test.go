package rdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const limit = 1 << 20

// seal makes a payload of a type and a value.
func seal(body string) []byte {
	b := binary.LittleEndian.AppendUint16([]byte(body), Version)
	return binary.LittleEndian.AppendUint64(b, checksum(b))
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.OneOf(
			rapid.SliceOf(rapid.Byte()),
			rapid.Map(rapid.StringMatching(`-?[0-9]{1,12}`), func(s string) []byte { return []byte(s) }),
			rapid.Map(rapid.SampledFrom([]int{0, 63, 64, 16383, 16384, 100_000}), func(n int) []byte { return make([]byte, n) }),
		).Draw(t, "value")
		got, err := Parse(Append(nil, v), limit)
		if err != nil || !bytes.Equal(got, v) {
			t.Fatalf("%q, %v", got, err)
		}
	})
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{"\x00\x05hello", "hello"},
		{"\x00\xc0\xff", "-1"},
		{"\x00\xc1\x00\x80", "-32768"},
		{"\x00\xc2\xff\xff\xff\x7f", "2147483647"},
		{"\x00\x80\x00\x00\x00\x02ab", "ab"},
		{"\x00\x81\x00\x00\x00\x00\x00\x00\x00\x02ab", "ab"},
		{"\x00\xc3\x09\x40\x64\x01aa\xe0\x57\x00\x01aa", strings.Repeat("a", 100)}, // as Redis packs it
	} {
		got, err := Parse(seal(c.body), limit)
		if err != nil || string(got) != c.want {
			t.Errorf("%q: %q, %v", c.body, got, err)
		}
	}
	for _, bad := range []string{
		"", "\x00", "\x00\x05abc", "\x00\xc0", "\x00\xc1a", "\x00\xc2abc", "\x00\xc4a", "\x00\x82a", "\x00\x80ab", "\x00\x81ab",
		"\x00\xc3", "\x00\xc3\x02\x05ab", "\x00\xc3\x03\x04\x01ab", "\x00\xc3\x03\x03\x20\x00\x00", "\x00\xc3\x02\x00\x00a",
		"\x00\xc3\xc0\x05ab", "\x00\xc3\x04\x08\x00a\xe0\xff", "\x00\xc3\x02\x81\x00\x00\x00\x00\x00\x0f\xff\xff\x00a",
	} {
		if got, err := Parse(seal(bad), limit); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
	for _, long := range []string{"\x00\x80\x7f\xff\xff\xff", "\x00\xc3\x02\x80\x7f\xff\xff\xff\x00a"} {
		if _, err := Parse(seal(long), limit); !errors.As(err, new(*SizeError)) {
			t.Errorf("%q: %v", long, err)
		}
	}
	if _, err := Parse(seal("\x01\x00"), limit); !errors.As(err, new(*TypeError)) {
		t.Error(err)
	}
	good := Append(nil, []byte("value"))
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1
		if _, err := Parse(b, limit); !errors.Is(err, ErrChecksum) {
			t.Errorf("byte %d: %v", i, err)
		}
		if _, err := Parse(good[:i], limit); !errors.Is(err, ErrChecksum) {
			t.Errorf("%d bytes: %v", i, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, body := range []string{"\x00\x05hello", "\x00\xc3\x09\x40\x64\x01aa\xe0\x57\x00\x01aa", "\x00\xc2\xff\xff\xff\x7f"} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := Parse(seal(string(body)), limit)
		if err == nil && len(v) > limit {
			t.Fatalf("%d bytes", len(v))
		}
	})
}
