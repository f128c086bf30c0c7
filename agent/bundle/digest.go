package bundle

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// ErrDigest: what was read is not what its digest names.
var ErrDigest = errors.New("the content is not what its digest says")

const digestPrefix = "sha256:"

// ParseDigest returns a digest as "sha256:" and 64 lower-case hexadecimal digits, from that form or from the digits alone.
func ParseDigest(s string) (string, error) {
	digits := strings.TrimPrefix(s, digestPrefix)
	if raw, err := hex.DecodeString(digits); err != nil || len(raw) != 32 || strings.ToLower(digits) != digits {
		return "", fmt.Errorf("digest %q: want sha256: and 64 lower-case hexadecimal digits", s)
	}
	return digestPrefix + digits, nil
}

// folderOf is the name of a digest's folder: one that every file system takes.
func folderOf(digest string) string { return strings.Replace(digest, ":", "-", 1) }

// digestOf is the opposite; ok is false for a folder that is no bundle's.
func digestOf(folder string) (digest string, ok bool) {
	digits, ok := strings.CutPrefix(folder, "sha256-")
	if !ok {
		return "", false
	}
	digest, err := ParseDigest(digits)
	return digest, err == nil
}
