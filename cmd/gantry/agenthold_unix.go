//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pidFile is locked by the agents of a folder, each of which has written its process' ID there; the last one is the one that runs, or takes over.
const pidFile = "agent.pid"

// holdPID says in an agent's folder which process it is. The lock is shared, since two are there while one takes over from the other.
func holdPID(dir string) (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, pidFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("hold the agent's folder: %w", err)
	}
	// Who only looks whether somebody holds it does so for a moment.
	for try := 0; ; try++ {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err == nil || try == 20 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hold the agent's folder %s: %w (somebody is ending its agent)", dir, err), f.Close())
	}
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hold the agent's folder: %w", err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// isHeld reports whether an agent runs in a folder.
func isHeld(dir string) (bool, error) {
	f, err := os.OpenFile(filepath.Join(dir, pidFile), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find the agent of %s: %w", dir, err)
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil, nil
}

// endHolder tells the agent of a folder to end, and waits for it. Where none runs there is nothing to do.
func endHolder(ctx context.Context, dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, pidFile), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the agent of %s: %w", dir, err)
	}
	defer f.Close()
	told := 0
	for end := time.Now().Add(stopWithin); ; {
		// Nobody else has the lock: no agent runs, and the ID in the file may be anybody's by now.
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return nil
		}
		b, err := os.ReadFile(f.Name())
		if err != nil {
			return fmt.Errorf("find the agent of %s: %w", dir, err)
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && pid > 0 && pid != told {
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("end the agent %d: %w", pid, err)
			}
			told = pid
		}
		if time.Now().After(end) {
			return fmt.Errorf("the agent of %s does not end", dir)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// totalMemory is the machine's in bytes; 0 where it is not known.
func totalMemory() int64 {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err == nil {
				return n << 10
			}
		}
	}
	return 0
}
