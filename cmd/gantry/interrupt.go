package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/gantry-ops/gantry/runner"
)

// interrupts turns signals into the two ways of ending a run: the first cancels it, so that what cleans up still runs; the
// second kills it.
type interrupts struct {
	// Kill closes at the second signal.
	Kill <-chan struct{}

	signals chan os.Signal
	done    chan struct{}
	idle    sync.WaitGroup
	mu      sync.Mutex
	count   int
}

// onInterrupt listens until stop is called. say is told what the signal did; it may be called from another goroutine.
func onInterrupt(parent context.Context, say func(string)) (ctx context.Context, i *interrupts, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	kill := make(chan struct{})
	i = &interrupts{Kill: kill, signals: make(chan os.Signal, 2), done: make(chan struct{})}
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		// Who starts a program with a signal ignored (nohup, or a shell that puts it in the background) means it.
		if !signal.Ignored(s) {
			signal.Notify(i.signals, s)
		}
	}
	i.idle.Go(func() {
		for {
			select {
			case <-i.done:
				return
			case <-i.signals:
			}
			i.mu.Lock()
			i.count++
			n := i.count
			i.mu.Unlock()
			switch n {
			case 1:
				say("interrupted: cancelling, steps that clean up still run; a second Ctrl-C kills everything at once")
				cancel(runner.ErrInterrupted)
			case 2:
				say("interrupted again: killing everything")
				close(kill)
			}
		}
	})
	return ctx, i, func() {
		signal.Stop(i.signals)
		close(i.done)
		i.idle.Wait()
		cancel(nil)
	}
}

// Seen reports whether a signal has come.
func (i *interrupts) Seen() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.count > 0
}
