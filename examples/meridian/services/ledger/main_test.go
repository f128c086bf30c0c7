package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

func env(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func TestRunRefuses(t *testing.T) {
	fresh := func() string { return filepath.Join(t.TempDir(), "books.db") }
	tests := []struct {
		name, want string
		args       []string
		env        map[string]string
	}{
		{"no database", "LEDGER_DB", nil, nil},
		{"unknown flag", "-nope", []string{"-nope"}, nil},
		{"unknown command", "unknown arguments", []string{"-db", fresh(), "dance"}, nil},
		{"phase", "unknown arguments", []string{"-db", fresh(), "migrate", "sideways"}, nil},
		{"no phase", "unknown arguments", []string{"-db", fresh(), "migrate"}, nil},
		{"deadline", "-deadline", []string{"-db", fresh(), "-deadline", "0s"}, nil},
		{"not migrated", "ledger migrate expand", []string{"-db", fresh()}, nil},
		{"contract first", "ledger migrate expand", []string{"-db", fresh(), "migrate", "contract"}, nil},
		{"check of nothing", "ledger migrate expand", []string{"-db", fresh(), "check"}, nil},
		{"no folder", "books.db", []string{"-db", filepath.Join(t.TempDir(), "none", "books.db"), "-expand"}, nil},
		{"bad address", "listen", []string{"-db", fresh(), "-expand", "-listen", "nowhere"}, nil},
		{"port", "PORT", []string{"-db", fresh()}, map[string]string{"PORT": "x"}},
		{"fault", "wrong", []string{"-db", fresh(), "-expand"}, map[string]string{"FAULT": "wrong:2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := run(t.Context(), tt.args, env(tt.env), io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestMigrateServeCheck(t *testing.T) {
	vars := env(map[string]string{"LEDGER_DB": filepath.Join(t.TempDir(), "books.db"), "PORT": "0"})
	command := func(want string, args ...string) {
		t.Helper()
		var out strings.Builder
		if err := run(t.Context(), args, vars, &out, io.Discard); err != nil || out.String() != want {
			t.Errorf("%v: %q, %v; want %q", args, out.String(), err, want)
		}
	}
	command("ran base\nran add-currency\n", "migrate", "expand")
	command("there is nothing to expand\n", "migrate", "expand")

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	logs, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, nil, vars, io.Discard, w)
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
	go func() { _, _ = io.Copy(io.Discard, logs) }()
	req, err := http.NewRequest("POST", "http://"+first.Address+"/trades",
		strings.NewReader(`{"id":"T1","account":"ACC00001","symbol":"ACME","side":"sell","quantity":1,"price_ticks":1}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Idempotency-Key", "k")
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusCreated || res.Header.Get("X-Meridian-Version") != version {
		t.Errorf("post: %s %v", res.Status, res.Header)
	}
	command(`{"ok":true,"trades":1,"entries":4}`+"\n", "check") // next to the server
	stop()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
	command("ran drop-note\n", "migrate", "contract")
	command(`{"ok":true,"trades":1,"entries":4}`+"\n", "check")
}
