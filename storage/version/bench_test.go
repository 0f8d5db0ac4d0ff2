package version

import "testing"

func BenchmarkPut(b *testing.B) {
	value := make([]byte, 64)
	c, _, _, _ := (*Cell)(nil).Put(n1, Write{Value: value})
	for b.Loop() {
		c, _, _, _ = c.Put(n1, Write{Value: value})
	}
}

func BenchmarkIncrement(b *testing.B) {
	c, _, _, _ := (*Cell)(nil).Increment(n1, 1)
	for b.Loop() {
		c, _, _, _ = c.Increment(n1, 1)
	}
}

func BenchmarkDecodeCell(b *testing.B) {
	c, _, _, _ := (*Cell)(nil).Put(n1, Write{Value: make([]byte, 64)})
	c, _, _, _ = c.Put(n2, Write{Value: make([]byte, 64)})
	for b.Loop() {
		if _, err := DecodeCell(c.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMerge(b *testing.B) {
	old, _, _, _ := (*Cell)(nil).Put(n1, Write{Value: make([]byte, 64)})
	c, _, _, _ := old.Put(n2, Write{Value: make([]byte, 64)})
	for b.Loop() {
		Merge(old, c)
	}
}
