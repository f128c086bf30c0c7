// Command marketdata makes prices, and hands them out by HTTP, WebSocket and a FIX-like feed by TCP.
//
//	PORT=8082 PORT_FIX=9100 marketdata -symbols ACME,GLOB -interval 100ms
//
// It ends cleanly at SIGINT or SIGTERM: it says that it is not ready, goes on for the drain time, and then says goodbye to
// each session and waits for the answer.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"meridian.example/marketdata/feed"
	"meridian.example/marketdata/httpapi"
	"meridian.example/marketdata/internal/kit"
	"meridian.example/marketdata/price"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stderr); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "marketdata:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. Flags and logs go to errs.
func run(ctx context.Context, args []string, getenv func(string) string, errs io.Writer) error {
	fs := flag.NewFlagSet("marketdata", flag.ContinueOnError)
	fs.SetOutput(errs)
	listen := fs.String("listen", "", "address of HTTP; default: the port of the variable PORT on 127.0.0.1 or HOST, else 127.0.0.1:8082")
	listenFIX := fs.String("listen-fix", "", "address of FIX; default: the port of the variable PORT_FIX on 127.0.0.1 or HOST, else 127.0.0.1:9100")
	self := fs.String("comp-id", "MERIDIAN", "our CompID")
	seed := fs.Uint64("seed", 1, "what prices are made of")
	symbols := fs.String("symbols", "ACME,GLOB,INIT,UMBR", "symbols that have prices")
	interval := fs.Duration("interval", 100*time.Millisecond, "time between two prices of a symbol")
	drain := fs.Duration("drain", 0, "time to go on after the signal to stop")
	deadline := fs.Duration("deadline", 8*time.Second, "time for requests and sessions to end after that")
	if err := fs.Parse(args); err != nil {
		return err
	}
	switch {
	case fs.NArg() > 0:
		return fmt.Errorf("unknown argument %q", fs.Arg(0))
	case *drain < 0 || *deadline <= 0:
		return errors.New("-deadline must be above zero, -drain not below")
	case *self == "" || strings.ContainsFunc(*self, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("-comp-id must be printable ASCII without spaces")
	}
	app, err := kit.New("marketdata", version, getenv, errs)
	if err != nil {
		return err
	}
	hub, err := price.NewHub(price.NewGenerator(*seed), strings.Split(*symbols, ","), *interval)
	if err != nil {
		return err
	}
	address, err := kit.Address(*listen, getenv, "PORT", "127.0.0.1:8082")
	if err != nil {
		return err
	}
	addressFIX, err := kit.Address(*listenFIX, getenv, "PORT_FIX", "127.0.0.1:9100")
	if err != nil {
		return err
	}
	api := httpapi.New(hub, app.Metrics, app.Faults)
	fix := feed.New(feed.Options{Self: *self, Version: version, Hub: hub, Log: app.Log, Metrics: app.Metrics, Faults: app.Faults})

	lFIX, err := net.Listen("tcp", addressFIX)
	if err != nil {
		return fmt.Errorf("listen for FIX: %w", err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return errors.Join(fmt.Errorf("listen: %w", err), lFIX.Close())
	}
	making, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	go hub.Run(making)
	// A feed that ends by itself ends the process: half a service would look healthy.
	serving, broken := context.WithCancel(ctx)
	defer broken()
	served := make(chan error, 1)
	go func() {
		served <- fix.Serve(lFIX)
		broken()
	}()
	app.Log.Info("listening for FIX", "address", lFIX.Addr().String(), "comp_id", *self)
	err = app.Serve(serving, l, app.Handler(api.Mux()), kit.Stop{Drain: *drain, Deadline: *deadline, Sessions: func(ctx context.Context) error {
		streams := make(chan error, 1)
		go func() { streams <- api.Stop(ctx) }()
		return errors.Join(fix.Stop(ctx), <-streams)
	}})
	if err != nil {
		// It may have failed before the sessions were told.
		cut, cancel := context.WithCancel(context.Background())
		cancel()
		_, _ = api.Stop(cut), fix.Stop(cut)
	}
	return errors.Join(err, <-served)
}
