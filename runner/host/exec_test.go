//go:build unix

package host

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// bash makes a command of a script.
func bash(w *Workspace, script string) runner.Command {
	return runner.Command{Argv: []string{"bash", "-c", script}, Dir: w.Machine().Workspace, Env: w.Environ()}
}

func execute(t testing.TB, w *Workspace, cmd runner.Command) (string, runner.Exit) {
	t.Helper()
	var out bytes.Buffer
	exit, err := w.Exec(context.Background(), cmd, runner.Stdio{Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), exit
}

func TestExec(t *testing.T) {
	w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
	for _, c := range []struct{ name, script, out string }{
		{"output in order", "for i in 1 2 3; do echo out$i; echo err$i >&2; done", "out1\nerr1\nout2\nerr2\nout3\nerr3\n"},
		{"no end of line", "printf x", "x"},
		{"empty input", "cat; echo end", "end\n"},
		{"folder", "pwd; echo $PWD", w.Machine().Workspace + "\n" + w.Machine().Workspace + "\n"},
		{"group of its own", `[ "$(ps -o pgid= -p $$ 2>/dev/null || cut -d' ' -f5 /proc/$$/stat)" -eq $$ ] && echo yes`, "yes\n"},
		{"no terminal", "(: </dev/tty) 2>/dev/null || echo none", "none\n"},
		{"clean environment", "echo ${GANTRY_TEST_LEAK-none}", "none\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("GANTRY_TEST_LEAK", "leaked")
			out, exit := execute(t, w, bash(w, c.script))
			if out != c.out || exit != (runner.Exit{}) {
				t.Errorf("%+v, output %q, want %q", exit, out, c.out)
			}
		})
	}
}

func TestExit(t *testing.T) {
	w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
	write := func(name, content string, mode os.FileMode) {
		if err := w.WriteFile(context.Background(), filepath.Join(w.Machine().Workspace, name), []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("plain", "text", 0o644)
	write("garbage", "\x7fnothing", 0o755)
	write("lost", "#!/no/such/interpreter\n", 0o755)
	write("script", "#!/bin/sh\nexit 3\n", 0o755)
	write("bin/tool", "#!/bin/sh\nexit 4\n", 0o755)
	write("bin/folder/x", "", 0o644)
	for _, c := range []struct {
		name   string
		argv   []string
		dir    string
		env    []pipeline.EnvVar
		code   int
		reason string
	}{
		{"code", []string{"bash", "-c", "exit 7"}, "", nil, 7, ""},
		{"signal", []string{"bash", "-c", "kill -9 $$"}, "", nil, 137, "killed by SIGKILL"},
		{"term", []string{"bash", "-c", "kill $$"}, "", nil, 143, "killed by SIGTERM"},
		{"not found", []string{"no-such-program"}, "", nil, 127, `program "no-such-program" not found`},
		{"not found by path", []string{"./missing"}, "", nil, 127, `program "./missing" not found`},
		{"empty", nil, "", nil, 127, "empty"},
		{"no program", []string{""}, "", nil, 127, "empty"},
		{"plain file", []string{"./plain"}, "", nil, 126, `"./plain" is not executable`},
		{"folder", []string{"./bin"}, "", nil, 126, "not executable"},
		{"garbage", []string{"./garbage"}, "", nil, 126, "#!"},
		{"lost interpreter", []string{"./lost"}, "", nil, 127, "#!"},
		{"relative", []string{"./script"}, "", nil, 3, ""},
		{"by relative PATH", []string{"tool"}, "", []pipeline.EnvVar{{Name: "PATH", Value: "bin"}}, 4, ""},
		{"last PATH wins", []string{"tool"}, "", []pipeline.EnvVar{{Name: "PATH", Value: "/nowhere"}, {Name: "PATH", Value: "bin"}}, 4, ""},
		{"no such folder", []string{"true"}, "/no/such", nil, 126, `"/no/such" does not exist`},
		{"a file for a folder", []string{"true"}, filepath.Join(w.Machine().Workspace, "plain"), nil, 126, "not a folder"},
		{"NUL in an argument", []string{"echo", "a\x00b"}, "", nil, 126, "NUL"},
		{"NUL in a variable", []string{"true"}, "", []pipeline.EnvVar{{Name: "V", Value: "\x00"}}, 126, `"V"`},
		{"too long", []string{"true", strings.Repeat("x", 4<<20)}, "", nil, 126, "bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := runner.Command{Argv: c.argv, Dir: c.dir, Env: c.env}
			if cmd.Dir == "" {
				cmd.Dir = w.Machine().Workspace
			}
			if cmd.Env == nil {
				cmd.Env = w.Environ()
			}
			_, exit := execute(t, w, cmd)
			if exit.Code != c.code || !strings.Contains(exit.Reason, c.reason) || c.reason == "" && exit.Reason != "" || exit.Cancelled {
				t.Errorf("%+v, want code %d, reason %q", exit, c.code, c.reason)
			}
		})
	}
}

func TestLookPath(t *testing.T) {
	w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
	tool := filepath.Join(w.Machine().Workspace, "bin", "tool")
	if err := w.WriteFile(context.Background(), tool, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if file, ok := w.LookPath(context.Background(), "tool", "/nowhere:bin"); !ok || file != tool {
		t.Errorf("got %q, %v", file, ok)
	}
	if _, ok := w.LookPath(context.Background(), "bash", "bin"); ok {
		t.Error("the process's own PATH was used")
	}
}

func TestStandardInput(t *testing.T) {
	w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
	for name, in := range map[string]func() io.Reader{
		"reader": func() io.Reader { return strings.NewReader("given") },
		"endless, not read": func() io.Reader {
			r, wr := io.Pipe()
			t.Cleanup(func() { wr.Close() })
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			script := "cat"
			if name != "reader" {
				script = "printf given"
			}
			var out bytes.Buffer
			exit, err := w.Exec(context.Background(), bash(w, script), runner.Stdio{In: in(), Out: &out})
			if err != nil || exit.Code != 0 || out.String() != "given" {
				t.Errorf("%+v, %v, output %q", exit, err, out.String())
			}
		})
	}
}

// lines is a writer that tests wait on.
type lines struct {
	r *bufio.Scanner
	*io.PipeWriter
}

func newLines() *lines {
	r, w := io.Pipe()
	return &lines{bufio.NewScanner(r), w}
}

func (l *lines) next(t testing.TB) string {
	t.Helper()
	if !l.r.Scan() {
		t.Fatalf("the output ended: %v", l.r.Err())
	}
	return l.r.Text()
}

func TestOutputBeforeTheEndIsAllThere(t *testing.T) {
	w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
	// The descendant keeps the pipe; its parent fills most of it and ends.
	for range 20 {
		out, exit := execute(t, w, bash(w, "exec 3>&1; (read x <&0) & head -c 60000 /dev/zero | tr '\\0' x; echo; echo end"))
		if exit.Code != 0 || len(out) != 60005 || !strings.HasSuffix(out, "end\n") {
			t.Fatalf("%+v, %d bytes", exit, len(out))
		}
	}
}

func TestDescendantsKeepThePipe(t *testing.T) {
	w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
	fifo := filepath.Join(w.Machine().Workspace, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	out := newLines()
	ended := make(chan runner.Exit, 1)
	go func() {
		exit, err := w.Exec(context.Background(), bash(w, `(read go <fifo; echo late: $go) & echo first`), runner.Stdio{Out: out})
		if err != nil {
			t.Error(err)
		}
		ended <- exit
	}()
	if got := out.next(t); got != "first" {
		t.Errorf("got %q", got)
	}
	if exit := <-ended; exit.Code != 0 {
		t.Errorf("%+v", exit)
	}
	// The process is over, its descendant is not: what it prints still comes.
	if err := os.WriteFile(fifo, []byte("now\n"), 0); err != nil {
		t.Fatal(err)
	}
	if got := out.next(t); got != "late: now" {
		t.Errorf("got %q", got)
	}
	shut(t, w)
}

// TestEndlessDescendant has one that never stops printing: Exec returns all the same, and Close ends it.
func TestEndlessDescendant(t *testing.T) {
	w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
	var out safeBuffer
	exit, err := w.Exec(context.Background(), bash(w, "yes & echo $!"), runner.Stdio{Out: &out})
	if err != nil || exit.Code != 0 {
		t.Fatalf("%+v, %v", exit, err)
	}
	shut(t, w)
	if out.len() == 0 {
		t.Error("nothing was printed")
	}
}

type safeBuffer struct {
	mu sync.Mutex
	n  int
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n += len(p)
	return len(p), nil
}

func (b *safeBuffer) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

// A signal that arrives between bash's look for traps and its read(2) is noticed only when the read ends. So the scripts that
// have to notice one read with a time limit.
func TestCancel(t *testing.T) {
	const long = time.Hour
	for _, c := range []struct {
		name                 string
		script               string
		interrupt, terminate time.Duration
		code                 int
		last                 string
	}{
		{"by SIGINT", `trap 'echo int; exit 5' INT; echo ready; while :; do read -t 0.05 <>fifo; done`, long, long, 5, "int"},
		{"by SIGTERM", `trap '' INT; trap 'echo term; exit 6' TERM; echo ready; while :; do read -t 0.05 <>fifo; done`, time.Millisecond, long, 6, "term"},
		{"by SIGKILL", `trap '' INT TERM; echo ready; read <>fifo; read <>fifo`, time.Millisecond, time.Millisecond, 137, ""},
		{"without waits", `trap '' INT TERM; echo ready; read <>fifo; read <>fifo`, 0, 0, 137, ""},
		{"the whole group", `bash -c 'read <>fifo' & echo ready; wait`, long, long, 130, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
			if err := syscall.Mkfifo(filepath.Join(w.Machine().Workspace, "fifo"), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			out := newLines()
			cmd := bash(w, c.script)
			cmd.Interrupt, cmd.Terminate = c.interrupt, c.terminate
			ended := make(chan runner.Exit, 1)
			go func() {
				exit, err := w.Exec(ctx, cmd, runner.Stdio{Out: out})
				if err != nil {
					t.Error(err)
				}
				ended <- exit
			}()
			if got := out.next(t); got != "ready" {
				t.Fatalf("got %q", got)
			}
			cancel()
			if c.last != "" {
				if got := out.next(t); got != c.last {
					t.Errorf("got %q, want %q", got, c.last)
				}
			}
			exit := <-ended
			if !exit.Cancelled || exit.Code != c.code {
				t.Errorf("%+v, want code %d", exit, c.code)
			}
		})
	}
}

// TestProcessesHearSignals runs this test again as a shell runs what it puts in the background.
func TestProcessesHearSignals(t *testing.T) {
	const again = "GANTRY_TEST_IGNORED"
	if os.Getenv(again) == "" {
		c := exec.Command("sh", "-c", `trap '' INT HUP; exec "$0" -test.run '^TestProcessesHearSignals$'`, os.Args[0])
		c.Env = append(os.Environ(), again+"=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
	out, exit := execute(t, w, bash(w, `trap 'echo int' INT; trap 'echo hup' HUP; kill -INT $$; kill -HUP $$`))
	if out != "int\nhup\n" || exit.Code != 0 {
		t.Errorf("%q %+v", out, exit)
	}
}

func TestKillAtOnce(t *testing.T) {
	w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
	out := newLines()
	killed := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	cmd := bash(w, `trap 'echo int' INT; trap '' TERM; mkfifo f; echo ready; while :; do read -t 0.05 <>f; done`)
	cmd.Interrupt, cmd.Terminate, cmd.Kill = time.Hour, time.Hour, killed
	ended := make(chan runner.Exit, 1)
	go func() {
		exit, err := w.Exec(ctx, cmd, runner.Stdio{Out: out})
		if err != nil {
			t.Error(err)
		}
		ended <- exit
	}()
	out.next(t)
	cancel()
	out.next(t) // it has the first signal, and does not end
	close(killed)
	if exit := <-ended; exit.Code != 137 || !exit.Cancelled {
		t.Errorf("%+v", exit)
	}
	// Nothing is started any more.
	if exit, err := w.Exec(context.Background(), cmd, runner.Stdio{}); err != nil || !exit.Cancelled {
		t.Errorf("%+v, %v", exit, err)
	}
	if exit, err := w.Exec(ctx, bash(w, "true"), runner.Stdio{}); err != nil || !exit.Cancelled {
		t.Errorf("%+v, %v", exit, err)
	}
}

func TestManyAtOnce(t *testing.T) {
	w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				file := filepath.Join(w.Machine().Temp, t.Name(), time.Now().Format("150405.000000000"))
				if err := w.WriteFile(context.Background(), file, []byte("#!/bin/sh\necho $0\n"), 0o755); err != nil {
					t.Error(err)
					return
				}
				var out bytes.Buffer
				exit, err := w.Exec(context.Background(), runner.Command{Argv: []string{file}, Dir: w.Machine().Temp, Env: w.Environ()}, runner.Stdio{Out: &out})
				if err != nil || exit.Code != 0 || !strings.Contains(out.String(), "/") {
					t.Errorf("%+v, %v, %q", exit, err, out.String())
				}
			}
		})
	}
	wg.Wait()
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("no") }

func TestWriterThatFails(t *testing.T) {
	w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
	exit, err := w.Exec(context.Background(), bash(w, "head -c 300000 /dev/zero; exit 3"), runner.Stdio{Out: failingWriter{}})
	if err != nil || exit.Code != 3 {
		t.Errorf("%+v, %v", exit, err)
	}
}
