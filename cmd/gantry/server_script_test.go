package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
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
		kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
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

// patience is how long a script waits for what it expects of a server.
const patience = 2 * time.Minute

// until runs a command again and again until what it writes matches: until REGEXP COMMAND [ARG...].
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until REGEXP COMMAND [ARG...]")
	}
	want, err := regexp.Compile(args[0])
	ts.Check(err)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("it never wrote what matches %s", want)
}

// putJSON asks the server with the token of the last sign-in, for what the command line has no verb: put PATH FILE.
func putJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: put PATH FILE")
	}
	var kept struct {
		Current string
		Servers map[string]struct{ Token string }
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(".user/config/gantry/logins.json")), &kept))
	req, err := http.NewRequest(http.MethodPut, kept.Current+"/api/v1"+args[0], strings.NewReader(ts.ReadFile(args[1])))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+kept.Servers[kept.Current].Token)
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	ts.Check(err)
	if res.StatusCode/100 != 2 {
		ts.Fatalf("put %s: %s: %s", args[0], res.Status, b)
	}
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
