package host

import "golang.org/x/sys/unix"

// ioctlReadable asks how many bytes can be read (ioctl_tty(2): FIONREAD is the same).
const ioctlReadable = unix.TIOCINQ
