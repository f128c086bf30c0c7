//go:build unix

package docker

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// signalHost signals the group of a container's process by its ID on this machine, once it is sure that it is that process:
// its control group carries the container's ID. It reports whether the signal was sent.
func signalHost(container string, pid int, name string) bool {
	cgroup, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil || pid <= 1 || !bytes.Contains(cgroup, []byte(container)) {
		return false
	}
	return unix.Kill(-pid, unix.SignalNum("SIG"+name)) == nil
}
