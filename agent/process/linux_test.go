//go:build linux

package process

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	line := "42 (a (b) c) S 1 40 39 0 -1 4194560 1 2 3 4 100 200 30 40 20 0 7 0 123456 1000000 250 18446744073709551615 1 1 0 0 0\n"
	s, err := parseStat([]byte(line))
	want := stat{pid: 42, ppid: 1, pgrp: 40, session: 39, state: 'S', cpu: 370, start: 123456, threads: 7, rss: 250}
	if err != nil || s != want {
		t.Errorf("got %+v, %v", s, err)
	}
	for _, bad := range []string{"", "1", "1 (x", "1 (x) S 1", ") (", "x (y) S 1 40 39 0 -1 4194560 1 2 3 4 100 200 30 40 20 0 7 0 123456 1000000 250 1"} {
		if s, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q became %+v", bad, s)
		}
	}
	own, err := readStat(os.Getpid())
	if err != nil || own.ppid != os.Getppid() || own.start == 0 || own.rss == 0 || own.threads == 0 {
		t.Errorf("own %+v, %v", own, err)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (a (b) c) S 1 40 39 0 -1 4194560 1 2 3 4 100 200 30 40 20 0 7 0 123456 1000000 250 18446744073709551615\n"))
	f.Fuzz(func(t *testing.T, line []byte) { parseStat(line) })
}

func FuzzParseTCP(f *testing.F) {
	f.Add([]byte("  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31337 1\n"))
	f.Fuzz(func(t *testing.T, table []byte) {
		for _, l := range parseTCP(table) {
			if l.port < 0 || l.port > 65535 || net.ParseIP(l.ip) == nil {
				t.Fatalf("%+v", l)
			}
		}
	})
}

func TestListeners(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Logf("%s: %v", address, err) // no IPv6 here
			continue
		}
		defer l.Close()
		want := l.Addr().(*net.TCPAddr)
		all, ok := listeners(os.Getpid())
		inodes := map[string]bool{}
		if !socketsOf(os.Getpid(), inodes) || !ok {
			t.Fatal("it cannot see its own")
		}
		if !slices.ContainsFunc(all, func(l listener) bool { return l.port == want.Port && l.ip == want.IP.String() && inodes[l.inode] }) {
			t.Errorf("%v is missing in %v", want, all)
		}
	}
}

func TestMarker(t *testing.T) {
	for environ, want := range map[string]string{
		"": "",
		"A=1\x00GANTRY_INSTANCE=s/i/n\x00B=2\x00": "s/i/n",
		"XGANTRY_INSTANCE=s/i/n\x00":              "",
		"A=GANTRY_INSTANCE=x\x00":                 "",
		"GANTRY_INSTANCE=a\x00GANTRY_INSTANCE=b":  "a",
	} {
		if got := findMarker([]byte(environ)); got != want {
			t.Errorf("%q: got %q", environ, got)
		}
	}
}

func TestSignalOneKnowsStrangers(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{modeEnv + "=sleep"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s, err := readStat(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	other := s
	other.start++
	if err := signalOne(other, unix.SIGKILL); err != unix.ESRCH {
		t.Errorf("got %v", err)
	}
	alive(t, cmd)
	if err := signalOne(s, unix.SIGKILL); err != nil {
		t.Error(err)
	}
	cmd.Wait()
	if err := signalOne(s, unix.SIGKILL); err == nil {
		t.Error("a process that is gone was signalled")
	}
}

func TestCgroupCandidates(t *testing.T) {
	const unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
	tests := []struct {
		name, mounts, own string
		want              []string
	}{
		{"systemd", unified, "0::/system.slice/gantry.service\n", []string{"/sys/fs/cgroup/system.slice/gantry.service", "/sys/fs/cgroup"}},
		{"moved aside", unified, "0::/system.slice/gantry.service/gantry-agent\n", []string{"/sys/fs/cgroup/system.slice/gantry.service", "/sys/fs/cgroup"}},
		{"a container", unified, "0::/\n", []string{"/sys/fs/cgroup"}},
		{"hybrid", "29 23 0:25 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n30 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n", "4:cpu:/x\n0::/y\n", []string{"/sys/fs/cgroup/unified/y", "/sys/fs/cgroup/unified"}},
		{"a part is mounted", "30 23 0:26 /docker/1 /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n", "0::/docker/1/x\n", []string{"/sys/fs/cgroup/x", "/sys/fs/cgroup"}},
		{"version 1", "29 23 0:25 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", "4:cpu:/x\n", nil},
		{"nothing", "", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := cgroupCandidates([]byte(tt.mounts), []byte(tt.own)); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzCgroupCandidates(f *testing.F) {
	f.Add([]byte("30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"), []byte("0::/a\n"))
	f.Fuzz(func(t *testing.T, mounts, own []byte) { cgroupCandidates(mounts, own) })
}

// TestCgroupFiles writes limits to files like those of a cgroup.
func TestCgroupFiles(t *testing.T) {
	c := cgroups{dir: t.TempDir(), held: []string{"cpu", "memory"}, why: "it does not hand it on"}
	limits := Limits{Memory: 64 << 20, CPU: 0.25, PIDs: 10}
	// The kernel makes these files with the folder; here there are none, and that is told.
	if _, err := c.make("a", limits); err == nil {
		t.Error("limits that cannot be written were taken")
	}
	if names, _ := os.ReadDir(c.dir); len(names) != 0 {
		t.Errorf("left over: %v", names)
	}
	want := []string{"memory 64 MiB: held by a cgroup", "cpu 0.25: held by a cgroup", "pids 10: not held, because it does not hand it on"}
	if got := c.hold(0, limits); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	c.held = nil
	if got := c.hold(0, limits); !strings.HasPrefix(got[0], "memory 64 MiB: held for each process by itself, with 128 MiB more (RLIMIT_DATA), because") {
		t.Errorf("got %q", got)
	}

	g := &cgroup{c.dir}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if g.outOfMemory() {
		t.Error("out of memory without a file")
	}
	write("memory.events", "low 0\nhigh 0\nmax 7\noom 1\noom_kill 0\n")
	if g.outOfMemory() {
		t.Error("nobody was killed")
	}
	write("memory.events", "low 0\nhigh 0\nmax 7\noom 1\noom_kill 2\noom_group_kill 1\n")
	if !g.outOfMemory() {
		t.Error("somebody was killed")
	}
	write("cpu.stat", "usage_usec 1500000\nuser_usec 1\n")
	if cpu, ok := g.cpu(); !ok || cpu != 1500*time.Millisecond {
		t.Errorf("cpu %v, %v", cpu, ok)
	}
	write("cgroup.procs", "12\n0\n13\n")
	if err := os.Mkdir(filepath.Join(c.dir, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("below/cgroup.procs", "14\n")
	if pids, err := g.pids(); err != nil || !slices.Equal(pids, []int{12, 13, 14}) && !slices.Equal(pids, []int{14, 12, 13}) {
		t.Errorf("pids %v, %v", pids, err)
	}
}

// TestMemoryLimit has a workload take memory until it is ended: by its cgroup, which is told as the reason, or by its own limit.
func TestMemoryLimit(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		s := supervise(t, t.TempDir(), o)
		spec := workload("hog", "hog")
		spec.Limits.Memory, spec.NoRestart = 256<<20, true
		i := start(t, s, spec)
		status := await(t, i, "ended", func(s Status) bool { return s.State == Crashed })
		held := s.host.(*linuxHost).cgroups.holds("memory")
		if told := strings.Contains(status.Reason, "it needed more memory than its limit of 256 MiB"); told != held {
			t.Errorf("held by a cgroup: %v; reason %q", held, status.Reason)
		}
		if len(status.Limits) != 1 || !strings.HasPrefix(status.Limits[0], "memory 256 MiB: held") {
			t.Errorf("limits %q", status.Limits)
		}
	})
}
