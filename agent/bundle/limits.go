package bundle

import "fmt"

// Limits bound what an artifact may be. A field that is 0 has its default.
type Limits struct {
	// Packed is the largest artifact, in bytes as it arrives. Default 2 GiB.
	Packed int64
	// Bytes is the most that its files may be together, unpacked. Default 8 GiB.
	Bytes int64
	// Entries is the most files, folders and links. Default 200,000.
	Entries int
	// Ratio is how many times larger than the artifact its content may be, once that is beyond 64 MiB. Default 100: deflate makes text
	// 3 to 20 times smaller, and reaches 1,032 on zeros alone.
	Ratio int64

	// floor is what any artifact may unpack to, whatever its ratio, in bytes: a small one of much the same is no attack. Tests have less.
	floor int64
}

const (
	maxPath      = 4095 // bytes: PATH_MAX of Linux without its NUL
	maxComponent = 255  // bytes: NAME_MAX of nearly every file system
	maxDepth     = 200  // folders below each other: deeper trees exist in attacks on recursive tools alone
)

func (l Limits) withDefaults() Limits {
	if l.Packed <= 0 {
		l.Packed = 2 << 30
	}
	if l.Bytes <= 0 {
		l.Bytes = 8 << 30
	}
	if l.Entries <= 0 {
		l.Entries = 200_000
	}
	if l.Ratio <= 0 {
		l.Ratio = 100
	}
	if l.floor <= 0 {
		l.floor = 64 << 20
	}
	return l
}

// Refused says why an artifact is not taken. The same artifact will be refused again.
type Refused struct {
	// Entry counts the archive's entries from 1; 0 where the archive as a whole is refused.
	Entry int
	// Name of the entry, as the archive has it.
	Name string
	// Reason in words.
	Reason string
}

func (r *Refused) Error() string {
	if r.Entry == 0 {
		return "the artifact is refused: " + r.Reason
	}
	return fmt.Sprintf("the artifact is refused: entry %d (%.200q): %s", r.Entry, r.Name, r.Reason)
}
