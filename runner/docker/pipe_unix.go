//go:build unix

package docker

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// makePipe makes the pipe's file and opens both ends. The reader comes first: the end for writing cannot be opened without one.
func makePipe(p *pipe) error {
	if err := unix.Mkfifo(p.path, 0o666); err != nil {
		return fmt.Errorf("make a pipe for output: %w", err)
	}
	err := os.Chmod(p.path, 0o666) // past the umask: the container's user may be any
	if err == nil {
		p.read, err = os.OpenFile(p.path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	}
	if err == nil {
		if p.write, err = os.OpenFile(p.path, os.O_WRONLY|unix.O_NONBLOCK, 0); err != nil {
			p.read.Close()
		}
	}
	if err != nil {
		os.Remove(p.path)
		return fmt.Errorf("open a pipe for output: %w", err)
	}
	return nil
}
