package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"math/big"
	"strings"
)

// Everything that opens a door and is no password has one form: a prefix that says which door, 256 random bits in 43 letters of base
// 62, and a CRC-32 of what comes before in 6 more. The prefix lets scanners for secrets find a leaked one; the sum tells a wrong one
// from a mistyped or invented one without asking the database; and letters and digits alone survive a double click and any shell.
// What is kept is the SHA-256: a slow hash would guard nothing, as 256 random bits cannot be guessed.
const (
	prefixToken   = "gantry_"
	prefixRunner  = "gantryr_"
	prefixSession = "gantrys_"
	prefixLink    = "gantryl_"
)

const (
	base62       = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	secretLength = 43 // 62^43 > 2^256
	sumLength    = 6  // 62^6 > 2^32
)

// newSecret makes one.
func newSecret(prefix string) string {
	b := make([]byte, 32)
	rand.Read(b) // never fails, see crypto/rand
	text := prefix + inBase62(new(big.Int).SetBytes(b), secretLength)
	return text + sum(text)
}

// newID makes an identifier that need not be secret but is nobody else's: 95 random bits.
func newID() string {
	b := make([]byte, 12)
	rand.Read(b)
	b[0] &= 0x7f
	return inBase62(new(big.Int).SetBytes(b), 16)
}

// inBase62 writes a number with leading zeros.
func inBase62(n *big.Int, length int) string {
	out := make([]byte, length)
	base, digit := big.NewInt(62), new(big.Int)
	for i := length - 1; i >= 0; i-- {
		n.DivMod(n, base, digit)
		out[i] = base62[digit.Int64()]
	}
	return string(out)
}

func sum(text string) string {
	return inBase62(big.NewInt(int64(crc32.ChecksumIEEE([]byte(text)))), sumLength)
}

// wellFormed reports whether a text can be a secret with a prefix.
func wellFormed(prefix, text string) bool {
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok || len(rest) != secretLength+sumLength {
		return false
	}
	for i := range len(rest) {
		if strings.IndexByte(base62, rest[i]) < 0 {
			return false
		}
	}
	at := len(text) - sumLength
	return sum(text[:at]) == text[at:]
}

// hashSecret is what is kept of one.
func hashSecret(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}

// derive makes another value from a secret for another purpose, from which the secret cannot be told.
func derive(purpose, secret string) string {
	h := sha256.Sum256([]byte("gantry " + purpose + "\x00" + secret))
	return hex.EncodeToString(h[:])
}
