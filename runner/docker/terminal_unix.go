//go:build unix

package docker

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// onResize calls f whenever the size of the terminal changes, until ctx ends.
func onResize(ctx context.Context, f func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGWINCH)
	defer signal.Stop(c)
	for {
		select {
		case <-c:
			f()
		case <-ctx.Done():
			return
		}
	}
}

// pollEvery is how often, in milliseconds, a wait for a key looks whether it is still wanted.
const pollEvery = 100

// copyTerminal copies keys until ctx ends. It reads only what is there, so that it never takes a key that is meant for whoever
// reads the terminal next.
func copyTerminal(ctx context.Context, to io.Writer, t *os.File) {
	fd := int(t.Fd())
	buf := make([]byte, 1024)
	for ctx.Err() == nil {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, pollEvery)
		if errors.Is(err, unix.EINTR) || err == nil && n == 0 {
			continue
		}
		if err != nil || ctx.Err() != nil {
			return
		}
		if n, err = unix.Read(fd, buf); n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil && !errors.Is(err, unix.EAGAIN) || n == 0 {
			return
		}
	}
}
