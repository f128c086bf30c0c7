package main

import "syscall"

// apart starts a process in a group of its own: the signals of this process's console do not reach it.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
