package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// exitCode runs a command and holds its exit code against the first argument: exitcode 2 gantry run.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode CODE COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// makeRepo makes the script's folder, or the one named, a git repository with everything in one commit.
func makeRepo(ts *testscript.TestScript, neg bool, args []string) {
	dir := "."
	if len(args) > 0 {
		dir = args[0]
	}
	dir = ts.MkAbs(dir)
	git := func(args ...string) { ts.Check(ts.Exec("git", append([]string{"-C", dir}, args...)...)) }
	git("init", "-q", "-b", "main")
	// The test's own folders are no part of the repository.
	ts.Check(os.WriteFile(filepath.Join(dir, ".git", "info", "exclude"), []byte(".user/\n"), 0o644))
	git("add", "-A")
	git("commit", "-q", "-m", "first")
}

// interruptWhen starts a command and sends it SIGINT each time that its output has one of the texts, in their order:
// interrupt 130 'ready' 'cleaning' -- gantry run. What it prints is left in the files out and err.
func interruptWhen(ts *testscript.TestScript, neg bool, args []string) {
	var texts []string
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	args = args[1:]
	for len(args) > 0 && args[0] != "--" {
		texts = append(texts, args[0])
		args = args[1:]
	}
	if len(args) < 2 {
		ts.Fatalf("usage: interrupt CODE TEXT... -- COMMAND [ARG...]")
	}
	cmd := exec.Command(args[1], args[2:]...)
	if file, err := exec.LookPath(args[1]); err == nil {
		cmd.Path = file
	}
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "GANTRY_CACHE_DIR", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "TMPDIR", "TERM"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	var all bytes.Buffer
	in := bufio.NewReader(io.TeeReader(out, &all))
	for {
		line, err := in.ReadString('\n')
		if len(texts) > 0 && strings.Contains(line, texts[0]) {
			texts = texts[1:]
			ts.Check(cmd.Process.Signal(syscall.SIGINT))
		}
		if err != nil {
			break
		}
	}
	cmd.Wait()
	ts.Check(os.WriteFile(ts.MkAbs("out"), all.Bytes(), 0o644))
	ts.Check(os.WriteFile(ts.MkAbs("err"), stderr.Bytes(), 0o644))
	if len(texts) > 0 {
		ts.Fatalf("%q never came; the output:\n%s%s", texts[0], all.String(), stderr.String())
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		ts.Fatalf("exit code %d, want %d; the output:\n%s%s", got, code, all.String(), stderr.String())
	}
}
