//go:build linux

package host

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gantry-ops/gantry/runner"
)

// gone reports whether a process has ended; one that has not been waited for by its parent counts.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

func TestCloseEndsProcesses(t *testing.T) {
	for name, script := range map[string]string{
		"background":             "read <>fifo & echo $!",
		"session of its own":     "setsid bash -c 'echo $$; echo >pids; read <>fifo' & read <>pids",
		"ignores signals":        "(trap '' INT TERM HUP; read <>fifo) & echo $!",
		"in the group, no mark":  "env -i bash -c 'read <>fifo' & echo $!",
		"orphan of an orphan":    "(setsid bash -c '(read <>fifo) & echo $!; echo >pids' &); read <>pids",
		"writes into its folder": "(while :; do echo x >$RANDOM; done) & echo $!",
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
			dir := w.Machine().Workspace
			for _, f := range []string{"fifo", "pids"} {
				if err := syscall.Mkfifo(filepath.Join(dir, f), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			out, exit := execute(t, w, bash(w, script))
			if exit.Code != 0 {
				t.Fatalf("%+v: %s", exit, out)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(out))
			if err != nil {
				t.Fatal(err)
			}
			if gone(pid) {
				t.Fatal("it has ended by itself: this tests nothing")
			}
			shut(t, w)
			if !gone(pid) {
				t.Errorf("process %d is still there", pid)
			}
			if left, _ := filepath.Glob(filepath.Join(w.executor.o.Root, "*")); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestCloseSparesOthers(t *testing.T) {
	e := newExecutor(t, Options{})
	one, two := open(t, e, runner.JobSpec{JobID: "a"}), open(t, e, runner.JobSpec{JobID: "a.b"})
	out, _ := execute(t, two, bash(two, "mkfifo fifo; read <>fifo & echo $!"))
	pid, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	shut(t, one)
	if gone(pid) {
		t.Error("the process of another job was ended")
	}
}

func TestCloseRemovesWhatMayNotBeWritten(t *testing.T) {
	w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("kept"), 0o400); err != nil {
		t.Fatal(err)
	}
	out, exit := execute(t, w, bash(w, "mkdir -p mod/a/b && echo x >mod/a/b/f && ln -s "+outside+" mod/a/link && chmod -R a-w mod && chmod 0 mod/a/b"))
	if exit.Code != 0 {
		t.Fatal(out)
	}
	shut(t, w)
	if _, err := os.Stat(w.dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
	if info, err := os.Stat(outside); err != nil || info.Mode().Perm() != 0o400 {
		t.Errorf("what a link points to: %v, %v", info, err)
	}
}

// TestSweep leaves what a killed gantry would, and what a living one has.
func TestSweep(t *testing.T) {
	root := filepath.Join(t.TempDir(), "work")
	dead, alive := newExecutor(t, Options{Root: root}), newExecutor(t, Options{Root: root})
	stale, err := dead.Open(context.Background(), runner.JobSpec{RunID: "dead", JobID: "job"})
	if err != nil {
		t.Fatal(err)
	}
	ours := open(t, alive, runner.JobSpec{RunID: "alive", JobID: "job"})
	<-dead.swept
	<-alive.swept
	stale.(*Workspace).run.lock.Close() // as the system does when a process ends

	next := newExecutor(t, Options{Root: root})
	open(t, next, runner.JobSpec{RunID: "next", JobID: "job"})
	<-next.swept
	if _, err := os.Stat(filepath.Join(root, "dead")); !os.IsNotExist(err) {
		t.Errorf("the stale folder is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "dead"+lockSuffix)); !os.IsNotExist(err) {
		t.Errorf("the stale lock is still there: %v", err)
	}
	if !isDir(ours.Machine().Workspace) {
		t.Error("the folder of a living run was removed")
	}
}

func TestSweepEndsProcesses(t *testing.T) {
	root := filepath.Join(t.TempDir(), "work")
	dead := newExecutor(t, Options{Root: root})
	stale, err := dead.Open(context.Background(), runner.JobSpec{RunID: "dead", JobID: "job"})
	if err != nil {
		t.Fatal(err)
	}
	<-dead.swept
	w := stale.(*Workspace)
	out, _ := execute(t, w, bash(w, "mkfifo fifo; read <>fifo & echo $!"))
	pid, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	w.run.lock.Close()
	next := newExecutor(t, Options{Root: root})
	open(t, next, runner.JobSpec{RunID: "next"})
	<-next.swept
	if !gone(pid) {
		t.Error("the process of a killed gantry is still there")
	}
}

// TestOthersFolders has a root in which somebody keeps things.
func TestOthersFolders(t *testing.T) {
	root := t.TempDir()
	kept := filepath.Join(root, "run", "thesis")
	if err := os.MkdirAll(kept, 0o755); err != nil {
		t.Fatal(err)
	}
	e := newExecutor(t, Options{Root: root})
	w := open(t, e, runner.JobSpec{RunID: "run"})
	<-e.swept
	shut(t, w)
	if !isDir(kept) {
		t.Error("somebody's folder is gone")
	}
	if left, _ := filepath.Glob(filepath.Join(root, "*")); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

func TestSameRunInTwoProcesses(t *testing.T) {
	root := filepath.Join(t.TempDir(), "work")
	a := open(t, newExecutor(t, Options{Root: root}), runner.JobSpec{RunID: "1"})
	b := open(t, newExecutor(t, Options{Root: root}), runner.JobSpec{RunID: "1"})
	if a.Machine().Workspace == b.Machine().Workspace {
		t.Error("two processes share a work folder")
	}
}

func TestJobWithinAJob(t *testing.T) {
	t.Setenv(Tracking, "outer/token")
	w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
	out, _ := execute(t, w, bash(w, "echo $"+Tracking))
	if want := "outer/token:" + w.token + "\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	environ := []byte("A=1\x00" + Tracking + "=" + strings.TrimSpace(out) + "\x00")
	for token, want := range map[string]bool{"outer/token": true, w.token: true, "outer/": true, "outer/tok": false, "token": false} {
		if got := hasToken(environ, token); got != want {
			t.Errorf("hasToken(%q) = %v", token, got)
		}
	}
}

// TestTerminal gives a shell a terminal that is not the test's.
func TestTerminal(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("this machine has no pseudo-terminals: %v", err)
	}
	defer master.Close()
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Skip(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Skip(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer slave.Close()
	t.Setenv("TERM", "xterm-test")
	w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
	exit, err := w.Exec(context.Background(), bash(w, `[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && : </dev/tty && [ "$TERM" = xterm-test ] && exit 9`), runner.Stdio{Terminal: slave})
	if err != nil || exit.Code != 9 {
		t.Errorf("%+v, %v", exit, err)
	}
}
