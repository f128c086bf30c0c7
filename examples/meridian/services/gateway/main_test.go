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
		env        map[string]string
	}{
		{"unknown flag", "-nope", []string{"-nope"}, nil},
		{"limit too large", "-limit", []string{"-limit", "18446744073709551615"}, nil},
		{"no orders", "-orders", []string{"-orders", "0"}, nil},
		{"bad address", "listen", []string{"-listen", "nowhere"}, nil},
		{"argument", "serve", []string{"serve"}, nil},
		{"rate", "-rate", []string{"-rate", "NaN"}, nil},
		{"burst", "-burst", []string{"-burst", "0"}, nil},
		{"deadline", "-deadline", []string{"-deadline", "0s"}, nil},
		{"port", "PORT", nil, map[string]string{"PORT": "http"}},
		{"fault", "errors", nil, map[string]string{"FAULT": "errors:2"}},
		{"ledger", "LEDGER_URL", nil, map[string]string{"LEDGER_URL": "127.0.0.1:8081"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := run(t.Context(), tt.args, func(name string) string { return tt.env[name] }, io.Discard)
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
		err := run(ctx, nil, func(name string) string { return map[string]string{"PORT": "0", "LOG_LEVEL": "debug"}[name] }, w)
		w.Close()
		done <- err
	}()
	lines := bufio.NewScanner(logs)
	var first struct{ Msg, Address string }
	for first.Msg != "listening" {
		if !lines.Scan() {
			t.Fatalf("it does not listen: %v", <-done)
		}
		if err := json.Unmarshal(lines.Bytes(), &first); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
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
