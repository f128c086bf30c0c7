package host

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// waitForExit returns when a process has ended. With neither state nor error it is left to be waited for.
func waitForExit(p *os.Process) (*os.ProcessState, error) {
	for {
		if err := unix.Waitid(unix.P_PID, p.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); !errors.Is(err, unix.EINTR) {
			return nil, nil
		}
	}
}
