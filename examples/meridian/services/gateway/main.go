// Command gateway takes orders of an investment platform over HTTP.
//
//	gateway -listen 127.0.0.1:8080 -limit 10000000
//
// It ends cleanly at SIGINT or SIGTERM: it says that it is not ready, keeps answering for the drain time, so that load
// balancers can take notice, and then finishes the requests that are under way.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"meridian.example/gateway/httpapi"
	"meridian.example/gateway/metrics"
	"meridian.example/gateway/order"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

// shutdown bounds how long requests under way may take at the end.
const shutdown = 10 * time.Second

// run serves until ctx ends. Flags and logs go to errs.
func run(ctx context.Context, args []string, errs io.Writer) error {
	fs := flag.NewFlagSet("gateway", flag.ContinueOnError)
	fs.SetOutput(errs)
	listen := fs.String("listen", "127.0.0.1:8080", "address to listen at")
	limit := fs.Uint64("limit", 10_000_000, "notional that an account may have open, in units of the currency")
	orders := fs.Int("orders", 1_000_000, "number of orders kept")
	drain := fs.Duration("drain", 0, "time to go on answering after the signal to stop")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *limit > math.MaxUint64/order.TicksPerUnit {
		return fmt.Errorf("-limit must be at most %d", uint64(math.MaxUint64/order.TicksPerUnit))
	}
	if *orders < 1 {
		return errors.New("-orders must be at least 1")
	}
	log := slog.New(slog.NewJSONHandler(errs, nil))
	api := httpapi.New(order.NewBook(*limit*order.TicksPerUnit, *orders, time.Now), log, &metrics.Registry{})

	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: api, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	log.Info("listening", "address", l.Addr().String(), "version", version)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	api.SetReady(true)

	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	api.SetReady(false)
	log.Info("draining", "for", *drain)
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-time.After(*drain):
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), shutdown)
	defer stop()
	if err := server.Shutdown(last); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	log.Info("stopped")
	return nil
}
