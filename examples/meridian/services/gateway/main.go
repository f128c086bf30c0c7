// Command gateway takes orders of an investment platform over HTTP.
//
//	PORT=8080 LEDGER_URL=http://127.0.0.1:8081 gateway -limit 10000000
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
	"math"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"meridian.example/gateway/httpapi"
	"meridian.example/gateway/internal/kit"
	"meridian.example/gateway/ledger"
	"meridian.example/gateway/order"
	"meridian.example/gateway/rate"
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
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

// flags are what the command line says.
type flags struct {
	listen          string
	limit           uint64
	orders          int
	rate            float64
	burst           int
	ledger          time.Duration
	drain, deadline time.Duration
}

func parse(args []string, errs io.Writer) (*flags, error) {
	f := &flags{}
	fs := flag.NewFlagSet("gateway", flag.ContinueOnError)
	fs.SetOutput(errs)
	fs.StringVar(&f.listen, "listen", "", "address to listen at; default: the port of the variable PORT on 127.0.0.1 or HOST, else 127.0.0.1:8080")
	fs.Uint64Var(&f.limit, "limit", 10_000_000, "notional that an account may have open, in units of the currency")
	fs.IntVar(&f.orders, "orders", 1_000_000, "number of orders kept where there is no ledger")
	fs.Float64Var(&f.rate, "rate", 100, "orders a second that an account may send; 0: any number")
	fs.IntVar(&f.burst, "burst", 200, "orders that an account may send at once")
	fs.DurationVar(&f.ledger, "ledger-deadline", 5*time.Second, "time to get an order into the ledger, with all attempts")
	fs.DurationVar(&f.drain, "drain", 0, "time to go on answering after the signal to stop")
	fs.DurationVar(&f.deadline, "deadline", 8*time.Second, "time for requests under way to end after that")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case fs.NArg() > 0:
		return nil, fmt.Errorf("unknown argument %q", fs.Arg(0))
	case f.limit > math.MaxUint64/order.TicksPerUnit:
		return nil, fmt.Errorf("-limit must be at most %d", uint64(math.MaxUint64/order.TicksPerUnit))
	case f.orders < 1:
		return nil, errors.New("-orders must be at least 1")
	case !(f.rate == 0 || f.rate >= 0.001 && f.rate <= 1e6):
		return nil, errors.New("-rate must be 0 or from 0.001 to 1000000")
	case f.burst < 1:
		return nil, errors.New("-burst must be at least 1")
	case f.ledger <= 0 || f.drain < 0 || f.deadline <= 0:
		return nil, errors.New("-ledger-deadline and -deadline must be above zero, -drain not below")
	}
	return f, nil
}

// run serves until ctx ends. Flags and logs go to errs.
func run(ctx context.Context, args []string, getenv func(string) string, errs io.Writer) error {
	f, err := parse(args, errs)
	if err != nil {
		return err
	}
	app, err := kit.New("gateway", version, getenv, errs)
	if err != nil {
		return err
	}
	address, err := kit.Address(f.listen, getenv, "PORT", "127.0.0.1:8080")
	if err != nil {
		return err
	}
	o := httpapi.Options{Log: app.Log, Metrics: app.Metrics, Faults: app.Faults}
	if o.Orders, err = orders(app, f, getenv("LEDGER_URL")); err != nil {
		return err
	}
	if f.rate > 0 {
		o.Limit = rate.New(f.rate, f.burst, time.Now)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return app.Serve(ctx, l, app.Handler(httpapi.New(o).Mux()), kit.Stop{Drain: f.drain, Deadline: f.deadline})
}

// orders returns where orders are kept: the ledger where its URL is given, else memory.
func orders(app *kit.App, f *flags, url string) (httpapi.Orders, error) {
	limit := f.limit * order.TicksPerUnit
	if url == "" {
		app.Log.Warn("there is no LEDGER_URL: orders are kept in memory, and lost at the end")
		return order.NewBook(limit, f.orders, time.Now), nil
	}
	took := app.Metrics.Histogram("meridian_ledger_request_duration_seconds", "Time of an attempt to reach the ledger, in seconds.",
		[]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5}, "result")
	client, err := ledger.New(url, ledger.Options{Limit: limit, Deadline: f.ledger, Attempt: max(f.ledger/3, time.Millisecond),
		Observe: func(d time.Duration, result string) { took.Observe(d, result) }})
	if err != nil {
		return nil, fmt.Errorf("the variable LEDGER_URL: %w", err)
	}
	return client, nil
}
