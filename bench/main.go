// Command bench measures what `gantry run` costs, in one run with a floor: a bash script that spawns the same shells with the
// same scripts and does nothing else. Where act is on PATH it is measured too, in host mode. Machines differ and so do their
// moods; ratios taken in turn on one machine are what can be compared.
//
//	go run ./bench -gantry bin/gantry [-repeat 5] [-only step,log] [-output bench.json]
//
// It starts processes and is for a quiet machine: `make bench`, never `make test`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if played, err := playPart(os.Args[1:]); played {
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures and reports. The table goes to out, progress to errs.
func run(ctx context.Context, args []string, out, errs io.Writer) error {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(errs)
	gantry := fs.String("gantry", "bin/gantry", "binary to measure")
	repeat := fs.Int("repeat", 5, "measurements of each, after one that does not count; the median is reported")
	only := fs.String("only", "", "comma-separated names of what to measure; empty: all")
	output := fs.String("output", "", "file to write the figures to as JSON")
	strict := fs.Bool("strict", false, "exit with 1 when a figure is over its budget")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *repeat < 1 {
		return errors.New("-repeat must be at least 1")
	}
	wanted, err := choose(*only)
	if err != nil {
		return err
	}
	binary, err := filepath.Abs(*gantry)
	if err != nil {
		return err
	}
	if _, err := exec.LookPath(binary); err != nil {
		return fmt.Errorf("%w; build it by `make build` or name it by -gantry", err)
	}
	dir, err := os.MkdirTemp("", "gantry-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	b := &bench{dir: dir, binary: binary, repeat: *repeat, progress: errs, contenders: []contender{floor(), gantryBinary(binary)}}
	if act, err := exec.LookPath("act"); err == nil {
		b.contenders = append(b.contenders, actBinary(act))
	}
	var figures []Figure
	for _, m := range wanted {
		f, err := m.measure(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		figures = append(figures, f...)
	}
	r := newReport(figures, *repeat)
	if err := r.table(out); err != nil {
		return err
	}
	if *output != "" {
		if err := r.write(*output); err != nil {
			return err
		}
	}
	if over := r.over(); *strict && len(over) > 0 {
		return fmt.Errorf("over budget: %s", strings.Join(over, ", "))
	}
	return nil
}

// choose returns the measurements with the names given, in their usual order.
func choose(only string) ([]measurement, error) {
	if only == "" {
		return measurements, nil
	}
	names := strings.Split(only, ",")
	var known []string
	for _, m := range measurements {
		known = append(known, m.name)
	}
	for _, n := range names {
		if !slices.Contains(known, n) {
			return nil, fmt.Errorf("nothing is called %q; there are %s", n, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(slices.Clone(measurements), func(m measurement) bool { return !slices.Contains(names, m.name) }), nil
}
