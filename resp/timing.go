package resp

import "time"

// Commands of a batch that ran together took equal shares of its time: what one
// of them alone took cannot be told, and what is counted adds up to the time
// that was spent. What is slow is the whole.

// timed ends the time of what the batch has done since the last call.
func (b *batch) timed() time.Duration {
	now := b.s.opts.Now()
	d := max(now.Sub(b.mark), 0)
	b.mark = now
	return d
}

// measure counts the commands of a flush that took some time together.
func (b *batch) measure(took time.Duration) {
	if b.ss.forwarded {
		return // its own node counts it
	}
	set := b.s.settings()
	var run struct{ calls, failed int64 } // of neighbours with one row
	share := took / time.Duration(len(b.steps))
	for i := range b.steps {
		st := &b.steps[i]
		if st.row == nil {
			continue
		}
		if st.rejected {
			st.row.meter.rejected.Add(1)
			continue
		}
		run.calls++
		if st.failed {
			run.failed++
		}
		if i+1 == len(b.steps) || b.steps[i+1].row != st.row || b.steps[i+1].rejected {
			st.row.meter.add(run.calls, run.failed, share, set.histograms)
			run.calls, run.failed = 0, 0
		}
	}
	if set.spike > 0 && took >= set.spike {
		b.s.latency.add(eventOf(b.steps), b.mark, took)
	}
	if set.slowerThan >= 0 && took >= set.slowerThan {
		b.logSlow(set, took, share)
	}
}

// add counts calls that took some time each.
func (m *meter) add(calls, failed int64, each time.Duration, latency bool) {
	m.calls.Add(calls)
	m.nanos.Add(calls * int64(each))
	if failed > 0 {
		m.failed.Add(failed)
	}
	if latency {
		m.histogram()[bucket(each)].Add(calls)
	}
}

// logSlow notes commands that took long: each where each did, else all as one.
func (b *batch) logSlow(set *settings, took, share time.Duration) {
	each := share >= set.slowerThan
	for i := range b.steps {
		st := &b.steps[i]
		if st.row == nil || st.rejected {
			continue
		}
		if !each {
			b.s.slowLog.add(b.slowEntry(st, took, len(b.steps)-i-1), set.slowMost)
			return
		}
		b.s.slowLog.add(b.slowEntry(st, share, 0), set.slowMost)
	}
}
