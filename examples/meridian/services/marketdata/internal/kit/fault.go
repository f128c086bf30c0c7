package kit

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Bounds of faults.
const (
	MaxLatencyFactor = 1000
	MaxLatency       = 10 * time.Minute
	MaxLeak          = 1 << 40 // bytes a second
)

// Faults are what is wrong with a process on purpose. The zero value is a healthy one. It is safe for concurrent use.
type Faults struct {
	// Errors is the share of requests, and of sessions at their beginning, that fail without an effect; 0 to 1.
	Errors float64
	// LatencyFactor makes a request take so many times as long as it would; 0 is none, else 1 to MaxLatencyFactor.
	LatencyFactor float64
	// LatencyMore makes each request take so much longer; up to MaxLatency.
	LatencyMore time.Duration
	// Leak is how many bytes are lost each second.
	Leak int64
	// Crash is how long after the start the process ends by itself.
	Crash time.Duration
	// Wrong is the share of answers that have a wrong figure in them; 0 to 1.
	Wrong float64

	// chance returns numbers from 0 to below 1; nil is a random source.
	chance func() float64

	mu   sync.Mutex
	lost [][]byte
}

// ParseFaults reads faults as the variable FAULT has them, separated by commas:
//
//	errors:0.5      half of the requests answer 500
//	latency:2x      each takes twice as long; latency:50ms: 50 ms longer
//	leak:1MiB/s     memory is lost; units are B, KiB, MiB and GiB
//	crash:10s       the process ends with code 3 after ten seconds
//	wrong:0.01      one answer of a hundred has a wrong figure
//
// The empty text is none. What cannot be read, and a fault named twice, is an error: a process that is healthy by a
// mistake in spelling would prove nothing.
func ParseFaults(text string) (*Faults, error) {
	f := &Faults{}
	if strings.TrimSpace(text) == "" {
		return f, nil
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), ":")
		if !ok {
			return nil, fmt.Errorf("fault %q: write it as name:value, such as errors:0.5", part)
		}
		if seen[name] {
			return nil, fmt.Errorf("fault %q stands twice", name)
		}
		seen[name] = true
		var err error
		switch name {
		case "errors":
			f.Errors, err = share(value)
		case "wrong":
			f.Wrong, err = share(value)
		case "latency":
			err = f.latency(value)
		case "leak":
			f.Leak, err = bytesPerSecond(value)
		case "crash":
			f.Crash, err = positive(value)
		default:
			return nil, fmt.Errorf("fault %q: there are errors, latency, leak, crash and wrong", name)
		}
		if err != nil {
			return nil, fmt.Errorf("fault %s:%s: %w", name, value, err)
		}
	}
	return f, nil
}

func share(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v > 0 && v <= 1) { // NaN is neither
		return 0, errors.New("the share must be a number above 0 and up to 1")
	}
	return v, nil
}

func positive(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, errors.New("the time must be a duration above zero, such as 10s")
	}
	return d, nil
}

func (f *Faults) latency(text string) error {
	if factor, ok := strings.CutSuffix(text, "x"); ok {
		v, err := strconv.ParseFloat(factor, 64)
		if err != nil || !(v >= 1 && v <= MaxLatencyFactor) {
			return fmt.Errorf("the factor must be a number from 1 to %d", MaxLatencyFactor)
		}
		f.LatencyFactor = v
		return nil
	}
	d, err := positive(text)
	if err != nil || d > MaxLatency {
		return fmt.Errorf("write a factor such as 2x or a duration such as 50ms, up to %s", MaxLatency)
	}
	f.LatencyMore = d
	return nil
}

// units are sorted so that the suffix B comes last: the others end in it.
var units = []struct {
	suffix string
	bytes  float64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

func bytesPerSecond(text string) (int64, error) {
	bad := errors.New("write bytes a second with a unit, such as 1MiB/s")
	size, ok := strings.CutSuffix(text, "/s")
	if !ok {
		return 0, bad
	}
	for _, u := range units {
		n, ok := strings.CutSuffix(size, u.suffix)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(n, 64)
		if err != nil || !(v > 0) {
			return 0, bad
		}
		if v*u.bytes > MaxLeak {
			return 0, errors.New("that is more than 1024GiB/s")
		}
		return max(1, int64(math.Round(v*u.bytes))), nil
	}
	return 0, bad
}

// String writes the faults as ParseFaults reads them.
func (f *Faults) String() string {
	var parts []string
	add := func(is bool, format string, v any) {
		if is {
			parts = append(parts, fmt.Sprintf(format, v))
		}
	}
	add(f.Errors > 0, "errors:%v", f.Errors)
	add(f.LatencyFactor > 0, "latency:%vx", f.LatencyFactor)
	add(f.LatencyMore > 0, "latency:%v", f.LatencyMore)
	add(f.Leak > 0, "leak:%dB/s", f.Leak)
	add(f.Crash > 0, "crash:%v", f.Crash)
	add(f.Wrong > 0, "wrong:%v", f.Wrong)
	return strings.Join(parts, ",")
}

// Fail says whether this request is one that fails.
func (f *Faults) Fail() bool { return f.hit(f.Errors) }

// IsWrong says whether this answer is one with a wrong figure.
func (f *Faults) IsWrong() bool { return f.hit(f.Wrong) }

func (f *Faults) hit(share float64) bool {
	if share <= 0 {
		return false
	}
	chance := f.chance
	if chance == nil {
		chance = rand.Float64
	}
	return chance() < share
}

// Delay returns how much longer something takes that has taken so long.
func (f *Faults) Delay(took time.Duration) time.Duration {
	more := f.LatencyMore
	if f.LatencyFactor > 1 {
		more += time.Duration(float64(took) * (f.LatencyFactor - 1))
	}
	return more
}
