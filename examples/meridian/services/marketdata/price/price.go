// Package price makes prices, and hands them to who has subscribed. A price is a function of the seed, the symbol and a
// sequence number that is made of the time: two processes with the same seed, such as two versions next to each other,
// say the same at the same time, and one that starts anew goes on where the one before ended. It knows nothing of the
// protocols that carry prices.
package price

import (
	"encoding/binary"
	"hash/fnv"
)

// TicksPerUnit is how many ticks make one unit of the currency.
const TicksPerUnit = 100

// Bounds of the slow and the fast waves that a price is the sum of: each has a period of 2^k numbers.
const fastest, slowest = 2, 14

// Generator makes prices. It may be used concurrently.
type Generator struct{ seed uint64 }

// NewGenerator returns a generator; the same seed makes the same prices.
func NewGenerator(seed uint64) Generator { return Generator{seed} }

// At returns the price of a symbol in ticks, from 1,250 to 75,000. It takes the same short time for any number.
func (g Generator) At(symbol string, seq uint64) int64 {
	base := 5_000 + int64(g.random(symbol, 0, 0)%45_000)
	p := base
	for k := uint(fastest); k <= slowest; k++ {
		// Between two random heights the wave is a line. The waves' heights add up to less than half of the base.
		height, at := base>>(16-k), int64(seq&(1<<k-1))
		left, right := g.height(symbol, k, seq>>k, height), g.height(symbol, k, seq>>k+1, height)
		p += left + (right-left)*at>>k
	}
	return p
}

// height is a random number from -max to max.
func (g Generator) height(symbol string, wave uint, n uint64, max int64) int64 {
	return int64(g.random(symbol, wave, n)%uint64(2*max+1)) - max
}

// random is the same number for the same arguments.
func (g Generator) random(symbol string, wave uint, n uint64) uint64 {
	h := fnv.New64a()
	var b [24]byte
	binary.LittleEndian.PutUint64(b[0:], g.seed)
	binary.LittleEndian.PutUint64(b[8:], uint64(wave))
	binary.LittleEndian.PutUint64(b[16:], n)
	_, _ = h.Write(b[:]) // never fails
	_, _ = h.Write([]byte(symbol))
	// The low bits of FNV are not mixed well: SplitMix64's last steps do that.
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
