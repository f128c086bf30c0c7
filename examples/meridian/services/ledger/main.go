// Command ledger keeps the trades of an investment platform, as double entries in SQLite.
//
//	LEDGER_DB=books.db ledger migrate expand     before this version starts
//	LEDGER_DB=books.db PORT=8081 ledger          answers until SIGINT or SIGTERM
//	LEDGER_DB=books.db ledger check              whether the books add up; exit code 1 where they do not
//	LEDGER_DB=books.db ledger migrate contract   when the version before is gone for good
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"meridian.example/ledger/httpapi"
	"meridian.example/ledger/internal/kit"
	"meridian.example/ledger/store"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "ledger:", err)
		os.Exit(1)
	}
}

// run does what the arguments say. Results go to out, flags and logs to errs.
func run(ctx context.Context, args []string, getenv func(string) string, out, errs io.Writer) error {
	fs := flag.NewFlagSet("ledger", flag.ContinueOnError)
	fs.SetOutput(errs)
	fs.Usage = func() {
		fmt.Fprintln(errs, "usage: ledger [flags] [serve | check | migrate expand | migrate contract]")
		fs.PrintDefaults()
	}
	listen := fs.String("listen", "", "address to listen at; default: the port of the variable PORT on 127.0.0.1 or HOST, else 127.0.0.1:8081")
	path := fs.String("db", getenv("LEDGER_DB"), "file of the database; default: the variable LEDGER_DB")
	expand := fs.Bool("expand", false, "serve: run the expand steps first")
	drain := fs.Duration("drain", 0, "time to go on answering after the signal to stop")
	deadline := fs.Duration("deadline", 8*time.Second, "time for requests under way to end after that")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *path == "" {
		return errors.New("say where the database is, by -db or the variable LEDGER_DB")
	}
	if *drain < 0 || *deadline <= 0 {
		return errors.New("-deadline must be above zero, -drain not below")
	}
	switch {
	case fs.NArg() == 0 || fs.NArg() == 1 && fs.Arg(0) == "serve":
		address, err := kit.Address(*listen, getenv, "PORT", "127.0.0.1:8081")
		if err != nil {
			return err
		}
		return serve(ctx, *path, address, *expand, getenv, errs, kit.Stop{Drain: *drain, Deadline: *deadline})
	case fs.NArg() == 1 && fs.Arg(0) == "check":
		return check(ctx, *path, out)
	case fs.NArg() == 2 && fs.Arg(0) == "migrate" && (fs.Arg(1) == "expand" || fs.Arg(1) == "contract"):
		return migrate(ctx, *path, store.Phase(fs.Arg(1)), out)
	}
	fs.Usage()
	return fmt.Errorf("unknown arguments %q", fs.Args())
}

func serve(ctx context.Context, path, address string, expand bool, getenv func(string) string, logs io.Writer, stop kit.Stop) error {
	app, err := kit.New("ledger", version, getenv, logs)
	if err != nil {
		return err
	}
	if expand {
		ran, err := store.Migrate(ctx, path, store.Expand)
		if err != nil {
			return err
		}
		app.Log.Info("expanded", "steps", ran)
	}
	commits := app.Metrics.Histogram("meridian_commit_duration_seconds", "Time of a commit, in seconds.",
		[]float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5})
	changes := app.Metrics.Counter("meridian_committed_changes_total", "Changes that were committed; several share a commit.")
	books, err := store.Open(ctx, path, store.Options{Now: time.Now, Committed: func(took time.Duration, n int) {
		commits.Observe(took)
		changes.Add(uint64(n))
	}})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return errors.Join(fmt.Errorf("listen: %w", err), books.Close())
	}
	err = app.Serve(ctx, l, app.Handler(httpapi.New(books, app.Log, app.Metrics, app.Faults).Mux()), stop)
	return errors.Join(err, books.Close())
}

func check(ctx context.Context, path string, out io.Writer) error {
	books, err := store.Open(ctx, path, store.Options{Now: time.Now})
	if err != nil {
		return err
	}
	report, err := books.Check(ctx)
	if err = errors.Join(err, books.Close()); err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(report); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if !report.OK {
		return errors.New("the books do not add up")
	}
	return nil
}

func migrate(ctx context.Context, path string, phase store.Phase, out io.Writer) error {
	ran, err := store.Migrate(ctx, path, phase)
	for _, name := range ran {
		fmt.Fprintln(out, "ran", name)
	}
	if err == nil && len(ran) == 0 {
		fmt.Fprintf(out, "there is nothing to %s\n", phase)
	}
	return err
}
