//go:build unix

package resp

import (
	"fmt"
	"syscall"
)

func (b *batch) infoCPU() []Field {
	var self, children syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &self) != nil || syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children) != nil {
		return nil
	}
	seconds := func(t syscall.Timeval) string { return fmt.Sprintf("%d.%06d", t.Sec, t.Usec) }
	return []Field{
		line("used_cpu_sys", seconds(self.Stime)),
		line("used_cpu_user", seconds(self.Utime)),
		line("used_cpu_sys_children", seconds(children.Stime)),
		line("used_cpu_user_children", seconds(children.Utime)),
		line("used_cpu_sys_main_thread", seconds(self.Stime)),
		line("used_cpu_user_main_thread", seconds(self.Utime)),
	}
}
