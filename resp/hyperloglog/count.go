package hyperloglog

import (
	"encoding/binary"
	"math"
)

// Count returns about how many elements were added.
func (s *Sketch) Count() (uint64, error) {
	if n, ok := s.cached(); ok {
		return n, nil
	}
	var r Registers
	if err := r.Merge(s); err != nil {
		return 0, err
	}
	return r.Count(), nil
}

// Count estimates how many elements the registers have seen, by O. Ertl, "New
// cardinality estimation algorithms for HyperLogLog sketches" (2017), algorithm 6.
func (r *Registers) Count() uint64 {
	var ranks [64]int
	for _, rank := range r {
		ranks[rank&63]++
	}
	const (
		m     = float64(registers)
		alpha = 0.721347520444481703680 // 1 / (2 ln 2)
	)
	z := m * tau((m-float64(ranks[rankBits+1]))/m)
	for k := rankBits; k >= 1; k-- {
		z = 0.5 * (z + float64(ranks[k]))
	}
	z += m * sigma(float64(ranks[0])/m)
	return uint64(math.Round(alpha * m * m / z))
}

func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	for y, z := 1.0, x; ; y += y {
		x *= x
		last := z
		if z += x * y; z == last {
			return z
		}
	}
}

func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	for y, z := 1.0, 1-x; ; {
		x = math.Sqrt(x)
		last := z
		y *= 0.5
		if z -= (1 - x) * (1 - x) * y; z == last {
			return z / 3
		}
	}
}

// hash is MurmurHash64A (A. Appleby) under Redis's seed.
func hash(b []byte) uint64 {
	const (
		m    = 0xc6a4a7935bd1e995
		seed = 0xadc83b19
	)
	h := uint64(seed) ^ uint64(len(b))*m
	for ; len(b) >= 8; b = b[8:] {
		k := binary.LittleEndian.Uint64(b) * m
		k ^= k >> 47
		h = (h ^ k*m) * m
	}
	if len(b) > 0 {
		var last [8]byte
		copy(last[:], b)
		h = (h ^ binary.LittleEndian.Uint64(last[:])) * m
	}
	h = (h ^ h>>47) * m
	return h ^ h>>47
}
