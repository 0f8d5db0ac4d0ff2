package version

import (
	"bytes"
	"testing"
)

func FuzzDecodeCell(f *testing.F) {
	c, _, _, _ := (*Cell)(nil).Put(Mint{Actor: actorOf(0), Time: 1}, Write{Value: []byte("5"), Expiry: 99})
	f.Add(c.Bytes())
	c, _, _, _ = c.Increment(Mint{Actor: actorOf(1), Time: 2}, 1)
	f.Add(c.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCell(b)
		if err != nil || c == nil {
			return
		}
		again, err := DecodeCell(NewCell(c.Versions, c.Totals).Bytes())
		if err != nil {
			t.Fatal(err)
		}
		merged := Merge(again, c)
		if !bytes.Equal(merged.Bytes(), Merge(c, again).Bytes()) {
			t.Fatal("merge is not commutative")
		}
		c.Context()
		c.Siblings(1)
	})
}

func FuzzParseContext(f *testing.F) {
	c, _, _, _ := (*Cell)(nil).Put(Mint{Actor: actorOf(0), Time: 1}, Write{Value: []byte("5")})
	f.Add(c.Context().Token([]byte("k")), []byte("k"))
	f.Fuzz(func(t *testing.T, token string, key []byte) {
		x, err := ParseContext(token, key)
		if err != nil {
			return
		}
		if _, err := ParseContext(x.Token(key), key); err != nil {
			t.Fatal(err)
		}
	})
}
