package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// load asks a service at a steady pace from several sides at once, half of them on connections that stay and half on a new one each time, by GET and by
// POST, and checks every answer.
type load struct {
	address string
	cancel  context.CancelFunc
	done    sync.WaitGroup

	next atomic.Int64

	mu       sync.Mutex
	requests int
	// failed had no answer, or one that is none; wrong had the answer to something else.
	failed, wrong int
	slowest       time.Duration
	// first are the first few troubles, in words.
	first []string
	// by counts answers by version, -1 those that failed.
	by map[int]int
	// firstBad is when the first answer of 500 came, since it was last set to zero.
	firstBad time.Time
}

// sides is how many ask at a time.
const sides = 8

// startLoad asks rate times a second.
func startLoad(ctx context.Context, address string, rate float64) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{address: address, cancel: cancel, by: map[int]int{}}
	for n := range sides {
		l.done.Go(func() {
			c := &http.Client{Transport: &http.Transport{DisableKeepAlives: n%2 == 1}, Timeout: 10 * time.Second}
			defer c.CloseIdleConnections()
			tick := time.NewTicker(time.Duration(float64(time.Second) * sides / rate))
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					l.ask(ctx, c)
				}
			}
		})
	}
	return l
}

func (l *load) stop() {
	l.cancel()
	l.done.Wait()
}

// ask makes one request, unless the load ends meanwhile.
func (l *load) ask(ctx context.Context, c *http.Client) {
	number := l.next.Add(1)
	method, body := http.MethodGet, ""
	if number%2 == 0 {
		method, body = http.MethodPost, fmt.Sprintf("order %d", number)
	}
	r, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("http://%s/orders/%d", l.address, number), strings.NewReader(body))
	if err != nil {
		panic(err) // the address is our own
	}
	began := time.Now()
	res, err := c.Do(r)
	var text []byte
	if err == nil {
		text, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	took := time.Since(began)
	if ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	l.slowest = max(l.slowest, took)
	tell := func(format string, a ...any) {
		if len(l.first) < 10 {
			l.first = append(l.first, fmt.Sprintf("%s %s %d after %v: ", time.Now().UTC().Format("15:04:05.000"), method, number, took.Round(time.Millisecond))+fmt.Sprintf(format, a...))
		}
	}
	switch {
	case err != nil:
		l.failed++
		l.by[-1]++
		tell("%v", err)
	case res.StatusCode != http.StatusOK:
		l.failed++
		l.by[-1]++
		if l.firstBad.IsZero() {
			l.firstBad = time.Now()
		}
		tell("%d %.100s", res.StatusCode, text)
	default:
		var version int
		if _, err := fmt.Sscanf(string(text), "%d ", &version); err != nil || string(text) != fmt.Sprintf("%d %d %s", version, number, body) {
			l.wrong++
			tell("%.100q", text)
			return
		}
		l.by[version]++
	}
}

// seen is a copy of what was counted.
func (l *load) seen() (requests, failed, wrong int, slowest time.Duration, first []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests, l.failed, l.wrong, l.slowest, append([]string(nil), l.first...)
}

// takeFirstBad returns when the first answer of 500 came, and forgets it.
func (l *load) takeFirstBad() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.firstBad
	l.firstBad = time.Time{}
	return at
}
