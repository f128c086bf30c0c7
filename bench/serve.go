package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// idle is how long a server is left alone before its memory is looked at.
const idle = 3 * time.Second

// startAndIdle is a server on an empty folder: how long until it is ready, and what it holds when nobody asks for anything.
func startAndIdle(ctx context.Context, b *bench) ([]Figure, error) {
	var took []time.Duration
	var resident []int64
	for round := range b.repeat + 1 {
		fmt.Fprintf(b.progress, "%-10s %-8s %d/%d\n", "serve", "gantry", round, b.repeat)
		s, err := b.serve(ctx)
		if err != nil {
			return nil, err
		}
		wait := time.NewTimer(idle)
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		memory := readStatus(s.cmd.Process.Pid, "VmRSS:")
		if err := errors.Join(s.stop(), ctx.Err()); err != nil {
			return nil, err
		}
		if round > 0 {
			took, resident = append(took, s.took), append(resident, memory)
		}
	}
	start := Figure{Name: "a server on an empty folder, until /readyz", Unit: "ms", Budget: &Budget{Limit: 2000, Of: "value"}}
	start.set("gantry", milliseconds(median(took, func(d time.Duration) time.Duration { return d })))
	memory := Figure{Name: "its memory when it is idle", Unit: "MB", Budget: &Budget{Limit: 150, Of: "value"}}
	memory.set("gantry", float64(median(resident, func(n int64) int64 { return n }))/1e6)
	return []Figure{start, memory}, nil
}

// server is a running `gantry up`.
type server struct {
	cmd *exec.Cmd
	// url is where it says that it is.
	url string
	// took is the time from its start to the first good answer of /readyz.
	took time.Duration
	// out is what it prints behind that.
	out *bufio.Reader
	end func()
}

// serve starts a server on an empty folder and a free port, and returns when it is ready.
func (b *bench) serve(ctx context.Context) (*server, error) {
	dir, err := os.MkdirTemp(b.dir, "serve-")
	if err != nil {
		return nil, err
	}
	log, err := os.Create(dir + ".log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	ctx, cancel := context.WithTimeout(ctx, limit)
	cmd := exec.CommandContext(ctx, b.binary, "up", "--data", dir, "--listen", "127.0.0.1:0")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	s := &server{cmd: cmd, out: bufio.NewReader(out), end: cancel}
	fail := func(err error) (*server, error) {
		said, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w; the server said:\n%s", errors.Join(err, s.stop()), said)
	}
	line, err := s.out.ReadString('\n')
	if err != nil {
		return fail(fmt.Errorf("read where the server is: %w", err))
	}
	at := strings.Index(line, "http")
	if at < 0 {
		return fail(fmt.Errorf("the server does not say where it is, but %q", line))
	}
	s.url = strings.TrimSpace(line[at:])
	if err := s.ready(ctx); err != nil {
		return fail(err)
	}
	s.took = time.Since(start)
	return s, nil
}

// ready asks until the server is ready.
func (s *server) ready(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/readyz", nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(req)
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server at %s does not get ready: %w", s.url, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// stop ends the server as a person would.
func (s *server) stop() error {
	defer s.end()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("stop the server: %w", err)
	}
	return nil
}

// cpu returns the processor's time that the server itself has had, without what it has started, see proc_pid_stat(5); 0 where
// there is none.
func (s *server) cpu() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	// The name of the program is in parentheses and may have spaces.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const user, system = 14 - 3, 15 - 3
	if len(fields) <= system {
		return 0
	}
	var ticks int64
	for _, f := range []string{fields[user], fields[system]} {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100) // USER_HZ, the same on all of Linux's common machines
}

// resident is the server's memory now, in megabytes. The peak would be that of the sign-in, which hashes a password.
func (s *server) resident() float64 { return float64(readStatus(s.cmd.Process.Pid, "VmRSS:")) / 1e6 }

// readStatus reads a figure in bytes from a process's status, see proc_pid_status(5); 0 where there is none.
func readStatus(pid int, name string) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, ok := strings.Cut(string(status), name)
	if !ok {
		return 0
	}
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kilobytes, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return kilobytes << 10
}
