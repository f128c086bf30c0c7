//go:build unix

package host

import "syscall"

// openNonblock opens a pipe without waiting for who writes to it.
const openNonblock = syscall.O_NONBLOCK
