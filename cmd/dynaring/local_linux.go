package main

import "syscall"

// childAttr keeps the terminal's Ctrl-C from the child, which would otherwise
// get it beside the stop that its parent sends, and ends the child cleanly
// when the parent is gone.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: parentGone}
}
