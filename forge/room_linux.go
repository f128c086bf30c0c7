package forge

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// tightRoom is how little room counts as none, in bytes: git may give up before the last block is taken.
const tightRoom = 1 << 20

// withRoom says so where a disk is full: git tells only which file it could not write.
func withRoom(err error, dir string) error {
	var st unix.Statfs_t
	if err == nil || unix.Statfs(dir, &st) != nil || st.Bavail*uint64(st.Bsize) > tightRoom {
		return err
	}
	return fmt.Errorf("%w (the disk of %s is full: %d KiB are left)", err, dir, st.Bavail*uint64(st.Bsize)>>10)
}
