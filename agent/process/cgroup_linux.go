package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// controllers are those that hold limits.
var controllers = []string{"cpu", "memory", "pids"}

// agentGroup is where the agent moves itself when it is alone in its cgroup: one that has processes of its own cannot hand on controllers
// (cgroup-v2.rst, "No Internal Process Constraint").
const agentGroup = "gantry-agent"

// cgroups are where instances get their cgroups.
type cgroups struct {
	// dir is empty where there are none; why says it.
	dir, why string
	// held are the controllers that instances have.
	held []string
}

// findCgroups looks for a folder of the version 2 hierarchy that can be written: the one that is asked for; else the agent's own, or the
// hierarchy's root, whichever hands on more controllers.
func findCgroups(wanted, store string) cgroups {
	if wanted == "off" {
		return cgroups{why: "cgroups are switched off"}
	}
	candidates := []string{wanted}
	if wanted == "" {
		mount, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			return cgroups{why: "it is not known where cgroups are: " + err.Error()}
		}
		own, err := os.ReadFile("/proc/self/cgroup")
		if err != nil {
			return cgroups{why: "the agent's own cgroup is not known: " + err.Error()}
		}
		if candidates = cgroupCandidates(mount, own); len(candidates) == 0 {
			return cgroups{why: "there are no cgroups of version 2"}
		}
	}
	best := cgroups{why: "no cgroup of version 2 can be written"}
	for _, dir := range candidates {
		c, err := tryCgroups(dir, store)
		if err != nil {
			best.why = err.Error()
		} else if best.dir == "" || len(c.held) > len(best.held) {
			best = c
		}
	}
	return best
}

// cgroupCandidates reads where the hierarchy is mounted and where in it this process is.
func cgroupCandidates(mountinfo, own []byte) []string {
	var mount, root, path string
	for line := range strings.Lines(string(mountinfo)) {
		// ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [FIELDS] - TYPE SOURCE OPTIONS (proc_pid_mountinfo(5))
		before, after, ok := strings.Cut(line, " - ")
		f := strings.Fields(before)
		if ok && len(f) >= 5 && strings.HasPrefix(after, "cgroup2 ") {
			root, mount = f[3], f[4]
			break
		}
	}
	for line := range strings.Lines(string(own)) {
		if p, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			path = p
		}
	}
	if mount == "" || path == "" {
		return nil
	}
	// The path is from the root of the hierarchy; the mount may show a part of it.
	if rel, err := filepath.Rel(root, path); err == nil && !strings.HasPrefix(rel, "..") {
		path = rel
	}
	dir := filepath.Join(mount, path)
	if filepath.Base(dir) == agentGroup {
		dir = filepath.Dir(dir)
	}
	return slices.Compact([]string{dir, mount})
}

func tryCgroups(dir, store string) (cgroups, error) {
	probe := filepath.Join(dir, "gantry-"+store)
	if err := os.Mkdir(probe, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return cgroups{}, fmt.Errorf("no cgroup can be made: %w", err)
	}
	defer os.Remove(probe)
	// Starting in a cgroup came with Linux 5.7 and leaves no trace to look for; ending one came with 5.14.
	if _, err := os.Stat(filepath.Join(probe, "cgroup.kill")); err != nil {
		return cgroups{}, fmt.Errorf("%s is no cgroup of version 2 of Linux 5.14 or later", dir)
	}
	c := cgroups{dir: dir, why: "the cgroup " + dir + " does not hand it on"}
	for n := 0; n < 2; n++ {
		busy := false
		for _, controller := range controllers {
			err := writeControl(dir, "cgroup.subtree_control", "+"+controller)
			busy = busy || errors.Is(err, unix.EBUSY)
		}
		enabled, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
		if err != nil {
			return cgroups{}, err
		}
		c.held = strings.Fields(string(enabled))
		if !busy || n > 0 || !moveAside(dir) {
			break
		}
	}
	return c, nil
}

// moveAside moves this process one level down where it is alone.
func moveAside(dir string) bool {
	procs, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil || strings.TrimSpace(string(procs)) != strconv.Itoa(os.Getpid()) {
		return false
	}
	aside := filepath.Join(dir, agentGroup)
	if err := os.Mkdir(aside, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return false
	}
	return writeControl(aside, "cgroup.procs", strconv.Itoa(os.Getpid())) == nil
}

func writeControl(dir, file, text string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func (c cgroups) holds(controller string) bool {
	return c.dir != "" && slices.Contains(c.held, controller)
}

// cgroup is that of one run.
type cgroup struct {
	dir string
}

// cpuPeriod is in microseconds, the kernel's own default; a quota has 1 ms at least.
const cpuPeriod = 100_000

// make makes the cgroup of a run with its limits. nil: there are none.
func (c cgroups) make(name string, l Limits) (*cgroup, error) {
	if c.dir == "" {
		return nil, nil
	}
	g := &cgroup{filepath.Join(c.dir, name)}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a cgroup: %w", err)
	}
	var err error
	if l.Memory > 0 && c.holds("memory") {
		err = errors.Join(err, writeControl(g.dir, "memory.max", strconv.FormatInt(l.Memory, 10)))
		// One end for all of an instance; and no swap. Both are not everywhere.
		writeControl(g.dir, "memory.oom.group", "1")
		writeControl(g.dir, "memory.swap.max", "0")
	}
	if l.CPU > 0 && c.holds("cpu") {
		quota := max(1000, int64(l.CPU*cpuPeriod))
		err = errors.Join(err, writeControl(g.dir, "cpu.max", fmt.Sprintf("%d %d", quota, cpuPeriod)))
	}
	if l.PIDs > 0 && c.holds("pids") {
		err = errors.Join(err, writeControl(g.dir, "pids.max", strconv.FormatInt(l.PIDs, 10)))
	}
	if err != nil {
		os.Remove(g.dir)
		return nil, fmt.Errorf("limit a cgroup: %w", err)
	}
	return g, nil
}

// pids are all processes in it and below it.
func (g *cgroup) pids() (pids []int, err error) {
	err = filepath.WalkDir(g.dir, func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed with its last process
		}
		if err != nil {
			return err
		}
		if !d.IsDir() {
			return nil
		}
		procs, err := os.ReadFile(filepath.Join(name, "cgroup.procs"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) {
			return err
		}
		for _, f := range bytes.Fields(procs) {
			if pid, err := strconv.Atoi(string(f)); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids, err
}

// kill ends all that is in it, where the kernel can (5.14).
func (g *cgroup) kill() { writeControl(g.dir, "cgroup.kill", "1") }

// outOfMemory reports whether something in it was killed because of its limit.
func (g *cgroup) outOfMemory() bool {
	n, _ := keyed(filepath.Join(g.dir, "memory.events"), "oom_kill")
	return n > 0
}

// cpu is the time used by all that ever was in it.
func (g *cgroup) cpu() (time.Duration, bool) {
	usec, ok := keyed(filepath.Join(g.dir, "cpu.stat"), "usage_usec")
	return time.Duration(usec) * time.Microsecond, ok
}

// keyed reads a number from a file of lines of a key and a number.
func keyed(file, key string) (n int64, ok bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if k, v, _ := strings.Cut(strings.TrimSpace(line), " "); k == key {
			n, err := strconv.ParseInt(v, 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// remove removes it when it is empty, with what a workload has made below it.
func (g *cgroup) remove() error {
	var dirs []string
	filepath.WalkDir(g.dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, name)
		}
		return nil
	})
	for _, dir := range slices.Backward(dirs) {
		if err := unix.Rmdir(dir); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove the cgroup %s: %w", dir, err)
		}
	}
	return nil
}

// removeTries is how often a cgroup is tried to be removed whose last process has just ended.
const removeTries = 200

func (g *cgroup) removeSoon() {
	for n := 0; g.remove() != nil && n < removeTries; n++ {
		<-time.NewTimer(5 * time.Millisecond).C
	}
}

// memorySlack is what a run time may reserve beyond its limit where that is held by RLIMIT_DATA, which counts what is reserved: Go reserves
// 64 MiB at a time.
const memorySlack = 128 << 20

// hold says in words what holds the limits, and sets those of the process itself where no cgroup does. pid is 0 for one that was adopted, and
// has its limits.
func (c cgroups) hold(pid int, l Limits) (words []string) {
	say := func(controller, what, instead string) {
		if c.holds(controller) {
			words = append(words, what+": held by a cgroup")
		} else {
			words = append(words, fmt.Sprintf("%s: %s, because %s", what, instead, c.why))
		}
	}
	if l.Memory > 0 {
		instead := "not held"
		if !c.holds("memory") {
			most := uint64(l.Memory) + memorySlack
			err := error(nil)
			if pid != 0 {
				err = unix.Prlimit(pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: most, Max: most}, nil)
			}
			if err == nil {
				instead = fmt.Sprintf("held for each process by itself, with %d MiB more (RLIMIT_DATA)", memorySlack>>20)
			}
		}
		say("memory", fmt.Sprintf("memory %s", bytesText(l.Memory)), instead)
	}
	if l.CPU > 0 {
		say("cpu", fmt.Sprintf("cpu %g", l.CPU), "not held")
	}
	if l.PIDs > 0 {
		say("pids", fmt.Sprintf("pids %d", l.PIDs), "not held")
	}
	return words
}

// bytesText writes a number of bytes for people.
func bytesText(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}
