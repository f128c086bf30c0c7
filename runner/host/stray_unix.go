//go:build unix && !linux

package host

import "syscall"

// killGroup kills the members of a process group.
func killGroup(group int, _ <-chan struct{}) { syscall.Kill(-group, syscall.SIGKILL) }

// killTracked does nothing: environments of processes are not shown on these systems.
func killTracked(string, <-chan struct{}) {}

// strays finds nothing on this system: see killTracked.
type strays struct{}

func (*strays) kill(token string, stop <-chan struct{}) { killTracked(token, stop) }
