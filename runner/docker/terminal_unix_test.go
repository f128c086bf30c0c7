//go:build linux

package docker

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// openTerminal makes a pseudo-terminal: what is written to person arrives at terminal as keys, and the reverse.
func openTerminal(t *testing.T) (person, terminal *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("skipping the test of a terminal: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(person.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 99})
	}
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("skipping the test of a terminal: %v", err)
	}
	t.Cleanup(func() { terminal.Close() })
	return person, terminal
}

func TestTerminal(t *testing.T) {
	e := needEngine(t, Options{})
	ws := openJob(t, e, spec(t, &pipeline.ContainerSpec{Image: imageShell}))
	person, terminal := openTerminal(t)
	var seen logBuffer
	typed := false
	seen.seen = func(all string) {
		if !typed && strings.Contains(all, "name?") {
			typed = true
			_, _ = io.WriteString(person, "gopher\r")
		}
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&seen, person)
	}()
	exit, err := ws.Exec(t.Context(), runner.Command{Argv: []string{"sh", "-c", `test -t 0 && test -t 1 && echo name?; read n; echo "hello $n"; until stty size | grep 99; do sleep 0.05; done; exit 4`}, Dir: "/", Env: ws.Environ()}, runner.Stdio{Terminal: terminal})
	if err != nil || exit.Code != 4 {
		t.Errorf("exit %+v, error %v", exit, err)
	}
	// With its last user gone the terminal ends, and what was printed has been read.
	terminal.Close()
	<-read
	if got := seen.String(); !strings.Contains(got, "hello gopher") || !strings.Contains(got, "33 99") || !strings.HasPrefix(got, "name?") {
		t.Errorf("got %q", got)
	}
}
