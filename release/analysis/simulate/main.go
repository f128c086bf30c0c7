// Command simulate plays releases by dice, thousands of them, and prints how often equal versions fail and how soon bad ones do: by a
// [analysis.Watch] and by [analysis.Judge] at the end of a step, by a plain Mann-Whitney test on the same samples, and by Kayenta's rule.
//
//	go run ./release/analysis/simulate [-runs 2000] [-seed 1] [-only name,name]
//
// The same seed gives the same table.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "simulate:", err)
		os.Exit(1)
	}
}

func run(args []string, out, errs io.Writer) error {
	fs := flag.NewFlagSet("simulate", flag.ContinueOnError)
	fs.SetOutput(errs)
	runs := fs.Int("runs", 2000, "releases of each kind")
	seed := fs.Uint64("seed", 1, "of all dice")
	only := fs.String("only", "", "comma-separated names of worlds; empty: all")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *runs < 1 {
		return errors.New("-runs must be at least 1")
	}
	chosen := worlds
	if *only != "" {
		names := strings.Split(*only, ",")
		chosen = slices.DeleteFunc(slices.Clone(worlds), func(w world) bool { return !slices.Contains(names, w.name) })
		if len(chosen) != len(names) {
			return fmt.Errorf("%q does not name worlds", *only)
		}
	}
	fmt.Fprintf(out, "%d releases each, seed %d. Ours: false alarms of at most %.4g over the release, %.4g of it the watch's and %.4g that of the judgement at the end.\n",
		*runs, *seed, level, watchLevel, stepLevel)
	fmt.Fprintf(out, "Step at 1 %%: the judgement at the end with the whole level. Mann-Whitney: level %.4g, once at the end, and at every tenth scrape. Kayenta: once at the end.\n\n", level)
	for _, equal := range []bool{true, false} {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		if equal {
			fmt.Fprintln(w, "EQUAL VERSIONS THAT FAIL\tWATCH\tSTEP\tOURS\tSTEP AT 1 %\tMANN-WHITNEY\tEVERY 10 s\tKAYENTA\t")
		} else {
			fmt.Fprintln(w, "BAD VERSIONS THAT FAIL\tWATCH\tMEDIAN\t90 %\tSTEP\tOURS\tSTEP AT 1 %\tMANN-WHITNEY\tEVERY 10 s\tMEDIAN\tKAYENTA\t")
		}
		for _, k := range chosen {
			if k.equal() != equal {
				continue
			}
			s := k.play(*runs, *seed, runtime.GOMAXPROCS(0), true)
			if equal {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", k.name, s.share(s.watch), s.share(s.judge), s.share(s.ours), s.share(s.same), s.share(s.whitney), s.share(s.peeking), s.share(s.kayenta))
				continue
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", k.name, s.share(s.watch), s.after(s.delays, 0.5), s.after(s.delays, 0.9), s.share(s.judge), s.share(s.ours),
				s.share(s.same), s.share(s.whitney), s.share(s.peeking), s.after(s.peekDelays, 0.5), s.share(s.kayenta))
		}
		fmt.Fprintln(w)
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}
