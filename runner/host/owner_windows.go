package host

import "os"

// owned is not told by a file's information on this system.
func owned(os.FileInfo) bool { return true }
