package kit

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestParseFaults(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", ""},
		{"  ", ""},
		{"errors:0.5", "errors:0.5"},
		{"latency:2x", "latency:2x"},
		{"latency:1.5x, wrong:1", "latency:1.5x,wrong:1"},
		{"latency:50ms", "latency:50ms"},
		{"leak:1MiB/s", "leak:1048576B/s"},
		{"leak:1.5KiB/s", "leak:1536B/s"},
		{"leak:20B/s", "leak:20B/s"},
		{"crash:10s,errors:0.01", "errors:0.01,crash:10s"},
	}
	for _, tt := range tests {
		f, err := ParseFaults(tt.text)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if got := f.String(); got != tt.want {
			t.Errorf("%q became %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestParseFaultsRefuses(t *testing.T) {
	tests := []struct{ text, want string }{
		{"errors", "name:value"},
		{"errors:0.5,", "name:value"},
		{"error:0.5", "there are errors, latency"},
		{"errors:0.5,errors:0.6", "twice"},
		{"errors:0", "above 0"},
		{"errors:50%", "above 0"},
		{"errors:1.1", "up to 1"},
		{"errors:NaN", "up to 1"},
		{"wrong:-1", "above 0"},
		{"latency:0.5x", "from 1"},
		{"latency:NaNx", "from 1"},
		{"latency:2", "2x or a duration"},
		{"latency:-5ms", "2x or a duration"},
		{"latency:1h", "up to 10m"},
		{"leak:1MiB", "bytes a second"},
		{"leak:1MB/s", "bytes a second"},
		{"leak:0B/s", "bytes a second"},
		{"leak:2048GiB/s", "more than"},
		{"crash:soon", "duration"},
		{"crash:0s", "above zero"},
	}
	for _, tt := range tests {
		if f, err := ParseFaults(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, %v; want an error with %q", tt.text, f, err, tt.want)
		}
	}
}

func FuzzParseFaults(f *testing.F) {
	for _, s := range []string{"errors:0.5", "latency:2x,leak:1MiB/s", "latency:1ms,crash:10s,wrong:1e-3", "leak:1e9GiB/s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseFaults(text)
		if err != nil {
			return
		}
		b, err := ParseFaults(a.String())
		if err != nil || a.String() != b.String() {
			t.Errorf("%q became %q, and that %v, %v", text, a, b, err)
		}
	})
}

func TestSharesAndDelay(t *testing.T) {
	f := &Faults{Errors: 0.25, LatencyFactor: 3, LatencyMore: time.Millisecond}
	at := 0.0
	f.chance = func() float64 { at += 0.125; return at - 0.125 }
	hits := 0
	for range 8 {
		if f.Fail() {
			hits++
		}
	}
	if hits != 2 || f.IsWrong() {
		t.Errorf("%d of 8 fail", hits)
	}
	if got := f.Delay(10 * time.Millisecond); got != 21*time.Millisecond {
		t.Errorf("delay = %v", got)
	}
	if got := (&Faults{}).Delay(time.Second); got != 0 {
		t.Errorf("a healthy one delays by %v", got)
	}
}

func TestCrashAndLeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		code, begin := make(chan int, 1), time.Now()
		f := &Faults{Crash: 3 * time.Second, Leak: 1 << 20}
		f.Start(ctx, slog.New(slog.DiscardHandler), func(c int) { code <- c })
		if c := <-code; c != 3 || time.Since(begin) != 3*time.Second {
			t.Errorf("it ended with %d after %v", c, time.Since(begin))
		}
		synctest.Wait()
		if n := f.Lost(); n < 29<<20/10 || n > 3<<20 {
			t.Errorf("%d bytes are lost after 3 s", n)
		}
	})
}

func TestCrashIsCalledOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		(&Faults{Crash: time.Second, Leak: 1}).Start(ctx, slog.New(slog.DiscardHandler), func(int) { t.Error("it crashed") })
		stop()
		synctest.Wait()
	})
}
