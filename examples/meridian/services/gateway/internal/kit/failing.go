package kit

import (
	"context"
	"log/slog"
	"time"
)

const (
	// crashCode is the exit code of a crash on purpose.
	crashCode = 3
	// leakEvery is how often memory is lost.
	leakEvery = 100 * time.Millisecond
)

// Start begins with the faults that need no request: the leak and the crash. They end with ctx. exit ends the process.
func (f *Faults) Start(ctx context.Context, log *slog.Logger, exit func(code int)) {
	if text := f.String(); text != "" {
		log.Warn("something is wrong on purpose", "faults", text)
	}
	if f.Crash > 0 {
		go func() {
			if wait(ctx, f.Crash) {
				log.Error("crash on purpose", "after", f.Crash)
				exit(crashCode)
			}
		}()
	}
	if f.Leak > 0 {
		go f.leak(ctx)
	}
}

// leak holds on to memory until ctx ends.
func (f *Faults) leak(ctx context.Context) {
	var owed float64
	for wait(ctx, leakEvery) {
		owed += float64(f.Leak) * leakEvery.Seconds()
		b := make([]byte, int(owed))
		owed -= float64(len(b))
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1 // a page that is not written to is not in RAM
		}
		f.mu.Lock()
		f.lost = append(f.lost, b)
		f.mu.Unlock()
	}
}

// Slow waits as much longer as something takes that has taken so long, or until ctx ends.
func (f *Faults) Slow(ctx context.Context, took time.Duration) {
	if more := f.Delay(took); more > 0 {
		wait(ctx, more)
	}
}

// Lost returns how many bytes the leak has taken so far.
func (f *Faults) Lost() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, b := range f.lost {
		n += len(b)
	}
	return int64(n)
}

// wait returns false where ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
