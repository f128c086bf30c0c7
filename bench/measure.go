package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// bench is one run of the program.
type bench struct {
	dir string
	// binary is gantry's.
	binary     string
	repeat     int
	progress   io.Writer
	contenders []contender
}

// limit is how long one process may take before the measurement is given up.
const limit = 5 * time.Minute

// sample is one process from start to end.
type sample struct {
	took time.Duration
	// bytes is what it printed.
	bytes int64
	// peak is the largest resident set of the process itself, in bytes; 0 where the system does not tell.
	peak int64
	// leaked: a secret of the workload occurred in what it printed.
	leaked bool
}

// samples of one contender.
type samples []sample

// took returns the median time.
func (s samples) took() time.Duration {
	return median(s, func(s sample) time.Duration { return s.took })
}

// peak returns the largest resident set of all samples.
func (s samples) peak() int64 {
	var peak int64
	for _, one := range s {
		peak = max(peak, one.peak)
	}
	return peak
}

// median returns the middle one of the values, the lower of two.
func median[T any, V interface{ ~int64 | ~float64 }](s []T, value func(T) V) V {
	values := make([]V, len(s))
	for i := range s {
		values[i] = value(s[i])
	}
	slices.Sort(values)
	if len(values) == 0 {
		return 0
	}
	return values[(len(values)-1)/2]
}

// compare runs a workload by all contenders in turn, so that what else happens on the machine hits all of them. The first
// round warms caches and does not count. only names the contenders that take part; empty: all.
func (b *bench) compare(ctx context.Context, w workload, repeat int, only ...string) (map[string]samples, error) {
	dir, err := os.MkdirTemp(b.dir, w.name+"-")
	if err != nil {
		return nil, err
	}
	if err := w.setUp(dir); err != nil {
		return nil, fmt.Errorf("set up: %w", err)
	}
	out := map[string]samples{}
	for round := range repeat + 1 {
		for _, c := range b.contenders {
			if len(only) > 0 && !slices.Contains(only, c.name) {
				continue
			}
			fmt.Fprintf(b.progress, "%-10s %-8s %d/%d\n", w.name, c.name, round, repeat)
			s, err := measure(ctx, c.command(w, dir), w.secrets)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if s.leaked && c.name == "gantry" {
				return nil, errors.New("a secret is in the output")
			}
			if round > 0 {
				out[c.name] = append(out[c.name], s)
			}
		}
	}
	return out, nil
}

// measure runs one process and reads all that it prints. A process that fails is an error with its last words.
func measure(ctx context.Context, cmd *exec.Cmd, secrets map[string]string) (sample, error) {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	read, write, err := os.Pipe()
	if err != nil {
		return sample{}, err
	}
	defer read.Close()
	cmd.Stdout, cmd.Stderr = write, write
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	start := time.Now()
	err = cmd.Start()
	write.Close()
	if err != nil {
		return sample{}, err
	}
	ended := make(chan struct{})
	go endWith(ctx, cmd.Process.Pid, ended)
	peak := watchPeak(cmd.Process.Pid, ended)
	d := newDrain(secrets)
	_, readErr := io.CopyBuffer(d, struct{ io.Reader }{read}, make([]byte, 256<<10))
	err = cmd.Wait()
	took := time.Since(start)
	close(ended)
	s := sample{took: took, bytes: d.bytes, peak: <-peak, leaked: d.leaked}
	switch {
	case ctx.Err() != nil:
		return s, context.Cause(ctx)
	case err != nil:
		return s, fmt.Errorf("%w, after printing:\n%s", err, d.tail)
	}
	return s, readErr
}

// grace is how long a process may take to end what it has started, before it is killed.
const grace = 10 * time.Second

// endWith ends a process group with the context.
func endWith(ctx context.Context, group int, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	_ = syscall.Kill(-group, syscall.SIGINT)
	select {
	case <-ended:
	case <-time.After(grace):
		_ = syscall.Kill(-group, syscall.SIGKILL)
	}
}

// drain counts what is written to it, looks for secrets, and keeps the end.
type drain struct {
	bytes   int64
	leaked  bool
	secrets [][]byte
	tail    []byte
	carry   []byte
}

func newDrain(secrets map[string]string) *drain {
	d := &drain{}
	for _, v := range secrets {
		d.secrets = append(d.secrets, []byte(v))
	}
	return d
}

const (
	// carryBytes is more than a secret has: what has to be kept to find one across a border.
	carryBytes = 256
	// tailBytes is how much of the end is shown when a process fails.
	tailBytes = 2 << 10
)

// Write implements io.Writer; it never fails.
func (d *drain) Write(b []byte) (int, error) {
	d.bytes += int64(len(b))
	for _, s := range d.secrets {
		if bytes.Contains(b, s) || bytes.Contains(append(d.carry, b[:min(len(b), len(s))]...), s) {
			d.leaked = true
		}
	}
	d.carry = append(d.carry, b[max(0, len(b)-carryBytes):]...)
	d.carry = d.carry[max(0, len(d.carry)-carryBytes):]
	d.tail = append(d.tail, b[max(0, len(b)-tailBytes):]...)
	d.tail = d.tail[max(0, len(d.tail)-tailBytes):]
	return len(b), nil
}

// watchPeak follows the largest resident set of a process until it has ended. The figure that wait(2) returns will not do:
// it covers this program's own memory from between fork and exec, and the process's children.
func watchPeak(pid int, ended <-chan struct{}) <-chan int64 {
	out := make(chan int64, 1)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		var peak int64
		for {
			peak = max(peak, readPeak(pid))
			select {
			case <-ended:
				out <- peak
				return
			case <-tick.C:
			}
		}
	}()
	return out
}

// readPeak reads the largest resident set; 0 where there is none.
func readPeak(pid int) int64 { return readStatus(pid, "VmHWM:") }
