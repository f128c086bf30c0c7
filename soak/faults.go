package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// fault is one thing that goes wrong around servers, and what must hold nevertheless.
type fault struct {
	name string
	// try brings it about in a folder of its own, and says in a sentence what it saw. A skipped error says what it lacks.
	try func(ctx context.Context, o options, dir string) (seen string, err error)
}

// skipped says why a fault cannot be tried here.
type skipped string

func (s skipped) Error() string { return string(s) }

var allFaults = []fault{
	{"the disk is full", fullDisk},
	{"the database is gone and comes back", databaseGone},
	{"a storm of webhooks", webhookStorm},
	{"a reader of a log that reads nothing", slowReader},
	{"a runner is cut off", runnerCutOff},
}

// runFaults tries them one after the other. One that is skipped is told of, and is no failure.
func runFaults(ctx context.Context, o options) (err error) {
	if o.gantry, err = filepath.Abs(o.gantry); err != nil {
		return err
	}
	failed := 0
	for _, f := range allFaults {
		if o.only != "" && !strings.Contains(f.name, o.only) {
			continue
		}
		began := time.Now()
		dir, err := os.MkdirTemp("", "gantry-fault-")
		if err != nil {
			return err
		}
		seen, err := f.try(ctx, o, dir)
		var skip skipped
		switch {
		case errors.As(err, &skip):
			log.Printf("skipped: %s: %s", f.name, skip)
		case err != nil:
			failed++
			log.Printf("FAULT: %s: %v", f.name, err)
		default:
			log.Printf("%s: %s (%v)", f.name, seen, time.Since(began).Round(100*time.Millisecond))
		}
		if err != nil && skip == "" || o.keep {
			log.Printf("the servers' folders and logs are in %s", dir)
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d faults did harm", failed, len(allFaults))
	}
	return nil
}

// verdict is what settle has found, as one error.
func (f *findings) verdict() error {
	var errs []error
	for _, text := range f.faults {
		errs = append(errs, errors.New(text))
	}
	return errors.Join(errs...)
}

// until asks again and again, until the answer is yes or the time is over.
func until(ctx context.Context, within time.Duration, what string, f func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for !f() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not come within %v", what, within)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// readiness is the status of /readyz; 0: no answer.
func (s *server) readiness(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/readyz", nil)
	if err != nil {
		return 0
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// alive reports whether the process that was started still runs.
func (s *server) alive() bool {
	select {
	case <-s.done:
		return false
	default:
		return s.cmd != nil
	}
}
