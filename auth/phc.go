package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Cost is what hashing a password with argon2id costs.
type Cost struct {
	// Time is the number of passes, Memory KiB, Threads lanes.
	Time, Memory uint32
	Threads      uint8
}

// RecommendedCost is the second recommended option of RFC 9106, section 4: for where 2 GiB for one hash are too much.
var RecommendedCost = Cost{Time: 3, Memory: 64 * 1024, Threads: 4}

// Bounds of what a stored hash may ask for, so that a row that somebody has tampered with cannot take the server's memory.
const (
	maxTime    = 64
	maxMemory  = 1 << 20 // 1 GiB
	maxThreads = 64
	saltLength = 16
	hashLength = 32
)

func (c Cost) check() error {
	switch {
	case c.Time < 1 || c.Time > maxTime:
		return fmt.Errorf("passes are %d: from 1 to %d are possible", c.Time, maxTime)
	case c.Threads < 1 || c.Threads > maxThreads:
		return fmt.Errorf("lanes are %d: from 1 to %d are possible", c.Threads, maxThreads)
	case c.Memory < 8*uint32(c.Threads) || c.Memory > maxMemory:
		return fmt.Errorf("memory is %d KiB: from 8 a lane to %d are possible", c.Memory, maxMemory)
	}
	return nil
}

// phc is a hash with what it was made from, in the PHC string format
// (https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md): $argon2id$v=19$m=65536,t=3,p=4$SALT$HASH.
type phc struct {
	Cost
	salt, hash []byte
}

// hashPassword makes a hash with a salt of its own.
func hashPassword(password string, c Cost) phc {
	p := phc{Cost: c, salt: make([]byte, saltLength)}
	rand.Read(p.salt)
	p.hash = p.key(password, hashLength)
	return p
}

// noPassword is a hash that no password has: comparing with it costs what any comparing does.
func noPassword(c Cost) phc {
	p := phc{Cost: c, salt: make([]byte, saltLength), hash: make([]byte, hashLength)}
	rand.Read(p.salt)
	rand.Read(p.hash)
	return p
}

func (p phc) key(password string, length int) []byte {
	return argon2.IDKey([]byte(password), p.salt, p.Time, p.Memory, p.Threads, uint32(length))
}

// matches reports whether a password has this hash, in a time that does not depend on how nearly it does.
func (p phc) matches(password string) bool {
	return subtle.ConstantTimeCompare(p.key(password, len(p.hash)), p.hash) == 1
}

func (p phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.Memory, p.Time, p.Threads, b64.EncodeToString(p.salt), b64.EncodeToString(p.hash))
}

var errPHC = errors.New("this is not an argon2id hash in PHC form")

// parsePHC reads what String writes, and nothing else: parameters in their one order, numbers without leading zeros.
func parsePHC(s string) (phc, error) {
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" {
		return phc{}, errPHC
	}
	if part[2] != "v="+strconv.Itoa(argon2.Version) {
		return phc{}, fmt.Errorf("%w: version %q is not known", errPHC, part[2])
	}
	var p phc
	number := func(text, key string, bits int) (uint64, bool) {
		digits, ok := strings.CutPrefix(text, key+"=")
		n, err := strconv.ParseUint(digits, 10, bits)
		return n, ok && err == nil && strconv.FormatUint(n, 10) == digits
	}
	costs := strings.Split(part[3], ",")
	if len(costs) != 3 {
		return phc{}, errPHC
	}
	m, ok1 := number(costs[0], "m", 32)
	t, ok2 := number(costs[1], "t", 32)
	l, ok3 := number(costs[2], "p", 8)
	if !ok1 || !ok2 || !ok3 {
		return phc{}, errPHC
	}
	p.Memory, p.Time, p.Threads = uint32(m), uint32(t), uint8(l)
	if err := p.Cost.check(); err != nil {
		return phc{}, fmt.Errorf("%w: %w", errPHC, err)
	}
	b64 := base64.RawStdEncoding.Strict()
	var err1, err2 error
	p.salt, err1 = b64.DecodeString(part[4])
	p.hash, err2 = b64.DecodeString(part[5])
	if err1 != nil || err2 != nil || len(p.salt) < 8 || len(p.salt) > 64 || len(p.hash) < 16 || len(p.hash) > 64 || p.String() != s {
		return phc{}, errPHC
	}
	return p, nil
}
