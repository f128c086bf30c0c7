//go:build unix

package main

import "syscall"

// apart starts a process in a session of its own: the signals of this process's terminal and group do not reach it.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
