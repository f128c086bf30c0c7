package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// stat is what proc(5) says of a process in /proc/PID/stat.
type stat struct {
	pid, ppid, pgrp, session int
	state                    byte
	// ticks of the clock: user and system time of it and of the children it has waited for; start since boot.
	cpu, start uint64
	threads    int
	rss        int64 // pages
}

// dead: it has ended, and only waits to be waited for.
func (s stat) dead() bool { return s.state == 'Z' || s.state == 'X' || s.state == 'x' }

// parseStat parses the line; the name in it may have spaces and parentheses.
func parseStat(line []byte) (s stat, err error) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return s, errors.New("not a line of /proc/PID/stat")
	}
	// Field n of the manual page is f[n-3].
	f := strings.Fields(string(line[end+1:]))
	if len(f) < 22 || len(f[0]) != 1 {
		return s, errors.New("not a line of /proc/PID/stat")
	}
	s.state = f[0][0]
	number := func(text string) (n int64) {
		n, e := strconv.ParseInt(text, 10, 64)
		if e != nil && err == nil {
			err = e
		}
		return n
	}
	s.pid = int(number(strings.TrimSpace(string(line[:open]))))
	s.ppid, s.pgrp, s.session = int(number(f[1])), int(number(f[2])), int(number(f[3]))
	for _, n := range f[11:15] {
		s.cpu += uint64(max(0, number(n)))
	}
	s.threads, s.start, s.rss = int(number(f[17])), uint64(number(f[19])), number(f[21])
	return s, err
}

// readStat returns fs.ErrNotExist where there is no such process.
func readStat(pid int) (stat, error) {
	line, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return stat{}, gone(err)
	}
	return parseStat(line)
}

// gone makes one error of the two that tell of a process that is not there.
func gone(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return fs.ErrNotExist
	}
	return err
}

func procPath(pid int, file string) string { return fmt.Sprintf("/proc/%d/%s", pid, file) }

// processes are all that there are, without those that end meanwhile.
func processes() ([]stat, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var all []stat
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil {
			all = append(all, s)
		}
	}
	return all, nil
}

// maxEnviron is how much of an environment is looked at; the kernel has no limit but that of the stack.
const maxEnviron = 4 << 20

// marker returns the value of a process's marker; empty where it has none, or its environment may not be read.
func marker(pid int) string {
	f, err := os.Open(procPath(pid, "environ"))
	if err != nil {
		return ""
	}
	defer f.Close()
	environ, err := io.ReadAll(io.LimitReader(f, maxEnviron))
	if err != nil {
		return ""
	}
	return findMarker(environ)
}

func findMarker(environ []byte) string {
	name := []byte(markerName + "=")
	for len(environ) > 0 {
		variable, rest, _ := bytes.Cut(environ, []byte{0})
		if value, ok := bytes.CutPrefix(variable, name); ok {
			return string(value)
		}
		environ = rest
	}
	return ""
}

// executable is the file that a process executes; empty where it may not be read. That the file was removed since is not told.
func executable(pid int) string {
	exe, err := os.Readlink(procPath(pid, "exe"))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(exe, " (deleted)")
}

// bootID changes with each boot of the machine.
func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id)), err
}

// signalOne signals a process if it is still the one that was seen. A process ID is looked at again when it cannot be given to another one
// any longer.
func signalOne(s stat, signal unix.Signal) error {
	fd, err := unix.PidfdOpen(s.pid, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	now, err := readStat(s.pid)
	if err != nil {
		return err
	}
	if now.start != s.start {
		return unix.ESRCH
	}
	return unix.PidfdSendSignal(fd, signal, nil, 0)
}
