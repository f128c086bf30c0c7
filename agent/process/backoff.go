package process

import (
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// Backoff says how long a crashed instance waits until it is started again. A field that is 0 has its default.
type Backoff struct {
	// First wait, doubled with each further crash in a row up to Most. Defaults 500 ms and 1 min.
	First, Most time.Duration
	// Reset is how long it must have been healthy without a break for its crashes to be forgotten. Default 1 min.
	Reset time.Duration
}

func (b Backoff) withDefaults() Backoff {
	if b.First <= 0 {
		b.First = 500 * time.Millisecond
	}
	if b.Most <= 0 {
		b.Most = time.Minute
	}
	if b.Reset <= 0 {
		b.Reset = time.Minute
	}
	return b
}

// wait returns the delay after a number of crashes in a row, which is at least 1: up to a quarter less than the exact value, by chance,
// so that what fell together does not get up together.
func (b Backoff) wait(crashes int, c *chance) time.Duration {
	d := b.First
	for range min(crashes-1, 62) {
		if d >= b.Most/2 {
			d = b.Most
			break
		}
		d *= 2
	}
	d = min(d, b.Most)
	return d - time.Duration(c.Int64N(int64(d)/4+1))
}

// chance is an instance's own: the same for the same seed.
type chance struct{ *rand.Rand }

func newChance(seed uint64, id string) *chance {
	h := fnv.New64a()
	h.Write([]byte(id))
	return &chance{rand.New(rand.NewPCG(seed, h.Sum64()))}
}
