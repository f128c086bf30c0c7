package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestRunRefusesBadFlags(t *testing.T) {
	tests := []struct {
		name, want string
		args       []string
	}{
		{"unknown flag", "-nope", []string{"-nope"}},
		{"limit too large", "-limit", []string{"-limit", "18446744073709551615"}},
		{"no orders", "-orders", []string{"-orders", "0"}},
		{"bad address", "listen", []string{"-listen", "nowhere"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := run(t.Context(), tt.args, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestRunServesAndStops starts the service on a free port, which it reads from the log, and stops it as a signal would.
func TestRunServesAndStops(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	logs, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-listen", "127.0.0.1:0"}, w)
		w.Close()
		done <- err
	}()
	lines := bufio.NewScanner(logs)
	if !lines.Scan() {
		t.Fatalf("no log: %v", <-done)
	}
	var first struct{ Msg, Address string }
	if err := json.Unmarshal(lines.Bytes(), &first); err != nil || first.Msg != "listening" {
		t.Fatalf("first line %s: %v", lines.Text(), err)
	}
	var messages []string
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines.Scan() {
			var l struct{ Msg string }
			if json.Unmarshal(lines.Bytes(), &l) == nil {
				messages = append(messages, l.Msg)
			}
		}
	}()
	res, err := http.Get("http://" + first.Address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("healthz: %s", res.Status)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
	<-drained
	if got := strings.Join(messages, ","); got != "request,draining,stopped" {
		t.Errorf("log: %s", got)
	}
}
