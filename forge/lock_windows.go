package forge

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockFile waits until the file is this one's; closing it ends that.
func lockFile(f *os.File) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, &windows.Overlapped{})
}
