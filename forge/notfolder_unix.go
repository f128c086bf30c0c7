//go:build unix

package forge

import (
	"errors"
	"syscall"
)

// notFolder: a file is where a path needs a folder.
func notFolder(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
