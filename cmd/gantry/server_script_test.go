package main

import (
	"bufio"
	"bytes"
	"io"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var (
	servedAt  = regexp.MustCompile(`gantry is at (\S+)`)
	firstLink = regexp.MustCompile(`\S+/welcome#token=\S+`)
)

// startServer starts a server for the script, which ends with it, and sets URL and LINK: server [FLAG...].
func startServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: server [FLAG...]")
	}
	gantry, err := exec.LookPath("gantry")
	ts.Check(err)
	cmd := exec.Command(gantry, append([]string{"up", "--data", ts.MkAbs(".server"), "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "GANTRY_CACHE_DIR", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "TMPDIR", "TERM"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	var log lockedBuffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		patience := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		patience.Stop()
		ts.Logf("the server's log:\n%s", log.String())
	})
	in := bufio.NewScanner(out)
	for in.Scan() {
		if m := servedAt.FindStringSubmatch(in.Text()); m != nil {
			ts.Setenv("URL", m[1])
		}
		if m := firstLink.FindString(in.Text()); m != "" {
			ts.Setenv("LINK", m)
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return
		}
	}
	ts.Fatalf("the server has ended:\n%s", log.String())
}

// lockedBuffer is written by a process while a test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
