package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestRunRefuses(t *testing.T) {
	tests := []struct {
		name, want string
		args       []string
		env        map[string]string
	}{
		{"unknown flag", "-nope", []string{"-nope"}, nil},
		{"argument", "serve", []string{"serve"}, nil},
		{"symbols", "acme", []string{"-symbols", "acme"}, nil},
		{"interval", "millisecond", []string{"-interval", "1us"}, nil},
		{"deadline", "-deadline", []string{"-deadline", "0s"}, nil},
		{"CompID", "-comp-id", []string{"-comp-id", "A B"}, nil},
		{"port", "PORT", nil, map[string]string{"PORT": "x"}},
		{"FIX port", "PORT_FIX", nil, map[string]string{"PORT": "0", "PORT_FIX": "x"}},
		{"addresses", "listen", []string{"-listen", "nowhere", "-listen-fix", "127.0.0.1:0"}, nil},
		{"FIX address", "listen for FIX", []string{"-listen-fix", "nowhere"}, nil},
		{"fault", "latency", nil, map[string]string{"FAULT": "latency:fast"}},
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

// TestRunServesAndStops starts the service on free ports, which it reads from the log, and stops it as a signal would.
func TestRunServesAndStops(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	logs, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, nil, func(name string) string { return map[string]string{"PORT": "0", "PORT_FIX": "0"}[name] }, w)
		w.Close()
		done <- err
	}()
	addresses := map[string]string{}
	lines := bufio.NewScanner(logs)
	for len(addresses) < 2 {
		if !lines.Scan() {
			t.Fatalf("it does not listen: %v", <-done)
		}
		var line struct{ Msg, Address string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		addresses[line.Msg] = line.Address
	}
	go func() { _, _ = io.Copy(io.Discard, logs) }()
	res, err := http.Get("http://" + addresses["listening"] + "/prices/ACME")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("price: %s", res.Status)
	}
	conn, err := net.Dial("tcp", addresses["listening for FIX"])
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	stop()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
}
