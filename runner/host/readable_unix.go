//go:build unix && !linux

package host

// ioctlReadable asks how many bytes can be read: FIONREAD of the BSDs, _IOR('f', 127, int).
const ioctlReadable = 0x4004667f
