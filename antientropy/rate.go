package antientropy

import (
	"math"
	"time"
)

// rateWindow is about how far back a rate looks.
const rateWindow = 10 * time.Second

// rate is how many things a second there were lately: a sum that fades.
type rate struct {
	sum float64
	at  time.Time
}

func (r *rate) fade(now time.Time) {
	r.sum *= math.Exp(-now.Sub(r.at).Seconds() / rateWindow.Seconds())
	r.at = now
}

func (r *rate) add(n float64, now time.Time) {
	r.fade(now)
	r.sum += n
}

// value returns things a second, 0 for what is as good as nothing.
func (r rate) value(now time.Time) float64 {
	r.fade(now)
	if v := r.sum / rateWindow.Seconds(); v >= 0.05 {
		return v
	}
	return 0
}
