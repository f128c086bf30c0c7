package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// server is one gantry process and the folder that it comes back to.
type server struct {
	o       options
	dir     string
	address string
	// keyFile is another server's key; empty: its own.
	keyFile string
	// flags are given to gantry up as they are.
	flags []string

	cmd  *exec.Cmd
	done chan struct{}

	mu sync.Mutex
	// link is the one-time sign-in link that the first start prints.
	link string
}

// readyWithin is how long a server may take from its start until it says that it is ready.
const readyWithin = 30 * time.Second

func newServer(o options, dir string) (*server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	return &server{o: o, dir: dir, address: address}, os.MkdirAll(dir, 0o755)
}

// freeAddress is one below the ports from which connections go out (32768 and up on Linux): while a server is dead, one of those could take its own.
func freeAddress() (string, error) {
	var err error
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))); err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", fmt.Errorf("no port is free: %w", err)
}

var linkPattern = regexp.MustCompile(`https?://\S+#token=\S+`)

// start starts the process and waits until it is ready.
func (s *server) start(ctx context.Context) error {
	args := append([]string{"up", "--data", filepath.Join(s.dir, "data"), "--listen", s.address}, s.flags...)
	cmd := exec.Command(s.o.gantry, args...)
	cmd.Env = append(os.Environ(), "GANTRY_CACHE_DIR="+filepath.Join(s.dir, "cache"), "XDG_STATE_HOME="+filepath.Join(s.dir, "state"))
	if s.o.db != "" {
		cmd.Env = append(cmd.Env, "GANTRY_DB="+s.o.db)
	}
	if s.keyFile != "" {
		cmd.Env = append(cmd.Env, "GANTRY_KEY_FILE="+s.keyFile)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	cmd.Stdout = cmd.Stderr
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start gantry: %w", err)
	}
	s.cmd, s.done = cmd, make(chan struct{})
	go func() {
		defer log.Close()
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			fmt.Fprintln(log, lines.Text())
			if m := linkPattern.FindString(lines.Text()); m != "" {
				s.mu.Lock()
				s.link = m
				s.mu.Unlock()
			}
		}
		_ = cmd.Wait()
		close(s.done)
	}()
	return s.ready(ctx)
}

func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/readyz", nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.done:
			return fmt.Errorf("gantry ended before it was ready: %s", s.tail())
		case <-ctx.Done():
			return fmt.Errorf("gantry was not ready within %v: %s", readyWithin, s.tail())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// tail is the end of the log.
func (s *server) tail() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

// kill ends the process at once, and only it: what it has started is for the next one to find.
func (s *server) kill() error {
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.done
	s.cmd = nil
	return nil
}

// stop asks the process to end.
func (s *server) stop() error {
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.done:
	case <-time.After(30 * time.Second):
		_ = s.kill()
		return errors.New("gantry did not end within 30 s of SIGTERM")
	}
	s.cmd = nil
	return nil
}
