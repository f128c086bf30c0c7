//go:build !linux

package host

import "os"

// waitForExit returns when a process has ended. With neither state nor error it is left to be waited for.
func waitForExit(p *os.Process) (*os.ProcessState, error) { return p.Wait() }
