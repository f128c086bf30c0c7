package host

import (
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// memoryFolder is where Linux keeps files in memory (tmpfs).
const memoryFolder = "/dev/shm"

// minControl is how much room the memory folder must have, in bytes.
const minControl = 16 << 20

// controlRoot returns the folder for the small files that a run makes for each step, or "" where there is no good place: then
// they go to the job's own folder. Making a file costs up to half a millisecond on a disk and a hundredth of that in
// memory, and a step needs six.
//
// Everybody may write to the memory folder, so ours must be a folder of our own that nobody else can enter. What is
// mounted without permission to execute is of no use: a custom shell may run its script directly.
func controlRoot(root string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(memoryFolder, &st); err != nil || st.Type != unix.TMPFS_MAGIC || st.Flags&unix.ST_NOEXEC != 0 || st.Bavail*uint64(st.Bsize) < minControl {
		return ""
	}
	h := fnv.New64a()
	h.Write([]byte(root))
	dir := filepath.Join(memoryFolder, fmt.Sprintf("gantry-%d-%x", os.Getuid(), h.Sum64()))
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return ""
	}
	var info unix.Stat_t
	if err := unix.Lstat(dir, &info); err != nil || info.Mode&unix.S_IFMT != unix.S_IFDIR || info.Mode&0o077 != 0 || int(info.Uid) != os.Getuid() {
		return ""
	}
	return dir
}
