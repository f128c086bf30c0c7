//go:build unix

package host

import (
	"os"
	"syscall"
)

// owned reports whether a file is this user's and group's.
func owned(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Getuid() && int(st.Gid) == os.Getgid()
}
