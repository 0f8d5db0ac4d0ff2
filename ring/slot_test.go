package ring

import "testing"

func TestSlot(t *testing.T) {
	for key, want := range map[string]uint16{
		"":                      0,
		"123456789":             12739, // the check value of CRC16 XMODEM, 0x31C3
		"foo":                   12182,
		"bar":                   5061,
		"hello":                 866,
		"user1000":              3443,
		"{user1000}.following":  3443,
		"{user1000}.followers":  3443,
		"foo{bar}{zap}":         5061, // the first tag counts
		"foo{bar":               15278,
		"foo{}{bar}":            8363, // an empty tag does not
		"foo{{bar}}zap":         4015, // up to the first }
		"}foo{bar}":             5061,
		"\x00{bar}\xff binary ": 5061,
	} {
		if got := Slot([]byte(key)); got != want {
			t.Errorf("Slot(%q) = %d, want %d", key, got, want)
		}
	}
	if a, b := Slot([]byte("foo{{bar}}zap")), Slot([]byte("{bar")); a != b {
		t.Errorf("foo{{bar}}zap is at %d, its tag {bar at %d", a, b)
	}
}

func BenchmarkSlot(b *testing.B) {
	key := []byte("user:1234567890")
	for b.Loop() {
		Slot(key)
	}
}
