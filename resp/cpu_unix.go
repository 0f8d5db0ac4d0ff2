//go:build unix

package resp

import (
	"fmt"
	"syscall"
)

func (b *batch) infoCPU() []Field {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return nil
	}
	seconds := func(t syscall.Timeval) string { return fmt.Sprintf("%d.%06d", t.Sec, t.Usec) }
	return []Field{line("used_cpu_sys", seconds(u.Stime)), line("used_cpu_user", seconds(u.Utime))}
}
