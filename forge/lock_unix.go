//go:build unix

package forge

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lockFile waits until the file is this one's; closing it ends that.
func lockFile(f *os.File) error {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
