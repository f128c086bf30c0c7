// Command load sends orders to Meridian's gateway and holds sessions of its market data, and checks every answer:
//
//   - an order that is accepted is in the ledger exactly once, with its amounts; what was refused or failed is not there
//     more often than it was sent; balances follow from the trades, and the books add up;
//   - an order that is sent again is the same one; an order that is read or cancelled is the one that was placed;
//   - prices grow in their numbers, from one connection to the next, and all sessions are told the same;
//   - every answer names its version, and no session ends without a goodbye.
//
// For example, with 10 sessions of each kind held over a release:
//
//	load -gateway http://127.0.0.1:8080 -ledger http://127.0.0.1:8081 -rate 50 -duration 1m
//	     -marketdata http://127.0.0.1:8082 -streams 10 -fix 127.0.0.1:9100 -sessions 10
//
// It ends after the duration or at SIGINT or SIGTERM, looks at the ledger, and says on standard output what there was. The
// exit code is 0 where nothing failed and nothing was wrong, 1 where something did, 2 where it could not begin.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"meridian.example/marketdata/fix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	good, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(2)
	case !good:
		os.Exit(1)
	}
}

// flags are what the command line says.
type flags struct {
	gateway, ledger, marketdata, fix string
	rate                             float64
	duration, timeout                time.Duration
	silence, grace                   time.Duration
	connections, accounts, requests  int
	streams, sessions                int
	symbols                          string
	output                           string
	mix                              mix
}

func parse(args []string, errs io.Writer) (*flags, error) {
	f := &flags{}
	fs := flag.NewFlagSet("load", flag.ContinueOnError)
	fs.SetOutput(errs)
	fs.StringVar(&f.gateway, "gateway", "", "URL of the gateway; none: no orders are sent")
	fs.StringVar(&f.ledger, "ledger", "", "URL of the ledger, to look whether it has what was accepted; none: it is not looked at")
	fs.StringVar(&f.marketdata, "marketdata", "", "URL of the market data, for -streams")
	fs.StringVar(&f.fix, "fix", "", "address of the FIX feed, for -sessions")
	fs.Float64Var(&f.rate, "rate", 50, "requests a second; 0: as many as -connections take one after the other")
	fs.DurationVar(&f.duration, "duration", 10*time.Second, "how long; 0: until a signal")
	fs.IntVar(&f.requests, "requests", 0, "end after so many requests; 0: any number")
	fs.IntVar(&f.connections, "connections", 64, "requests under way at a time")
	fs.IntVar(&f.accounts, "accounts", 50, "accounts that trade at a time")
	fs.IntVar(&f.streams, "streams", 0, "WebSocket streams to hold")
	fs.IntVar(&f.sessions, "sessions", 0, "FIX sessions to hold")
	fs.StringVar(&f.symbols, "symbols", "ACME,GLOB", "symbols to trade, and to ask the FIX feed for")
	fs.DurationVar(&f.timeout, "timeout", 10*time.Second, "time that a request, or the beginning of a session, may take")
	fs.DurationVar(&f.silence, "silence", 10*time.Second, "time that a session may be without a price")
	fs.DurationVar(&f.grace, "grace", 0, "time that a session may take to begin anew, after the first attempt")
	fs.Float64Var(&f.mix.replay, "replay", 0.05, "share of requests that send an old order again")
	fs.Float64Var(&f.mix.read, "read", 0.05, "share of requests that read an old order")
	fs.Float64Var(&f.mix.cancel, "cancel", 0.02, "share of requests that cancel an old order")
	fs.StringVar(&f.output, "output", "text", "text or json")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	share := func(v float64) bool { return v >= 0 && v <= 1 }
	switch {
	case fs.NArg() > 0:
		return nil, fmt.Errorf("unknown argument %q", fs.Arg(0))
	case f.gateway == "" && f.streams == 0 && f.sessions == 0:
		return nil, errors.New("there is nothing to do: give -gateway, or -marketdata with -streams, or -fix with -sessions")
	case f.streams > 0 && f.marketdata == "", f.sessions > 0 && f.fix == "":
		return nil, errors.New("-streams needs -marketdata, and -sessions needs -fix")
	case !(f.rate == 0 || f.rate >= 0.01 && f.rate <= 1e6):
		return nil, errors.New("-rate must be 0 or from 0.01 to 1000000")
	case f.connections < 1 || f.accounts < 1 || f.streams < 0 || f.sessions < 0 || f.requests < 0:
		return nil, errors.New("-connections and -accounts must be at least 1, -requests, -streams and -sessions at least 0")
	case f.duration < 0 || f.timeout <= 0 || f.silence <= 0 || f.grace < 0:
		return nil, errors.New("-timeout and -silence must be above zero, -duration and -grace not below")
	case !share(f.mix.replay) || !share(f.mix.read) || !share(f.mix.cancel) || f.mix.replay+f.mix.read+f.mix.cancel > 1:
		return nil, errors.New("-replay, -read and -cancel must be from 0 to 1, and not above 1 together")
	case f.output != "text" && f.output != "json":
		return nil, errors.New("-output must be text or json")
	}
	for name, address := range map[string]*string{"gateway": &f.gateway, "ledger": &f.ledger, "marketdata": &f.marketdata} {
		u, err := url.Parse(*address)
		if *address != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			return nil, fmt.Errorf("-%s: %q is no URL such as http://127.0.0.1:8080", name, *address)
		}
		*address = strings.TrimRight(*address, "/")
	}
	return f, nil
}

// run does what the arguments say. good is whether nothing failed and nothing was wrong.
func run(ctx context.Context, args []string, out, errs io.Writer) (good bool, err error) {
	f, err := parse(args, errs)
	if err != nil {
		return false, err
	}
	t := newTally(time.Now)
	ctx, end := context.WithCancel(ctx)
	defer end()
	if f.duration > 0 {
		ctx, end = context.WithTimeout(ctx, f.duration)
		defer end()
	}
	var sessions sync.WaitGroup
	sessions.Go(func() { hold(ctx, f, t) })
	var took time.Duration
	if f.gateway != "" {
		took = send(ctx, f, t)
		end()
	} else {
		<-ctx.Done()
	}
	sessions.Wait()
	s := t.summary(took)
	if f.output == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = e.Encode(s)
	} else {
		err = s.text(out)
	}
	if err != nil {
		return false, fmt.Errorf("write the summary: %w", err)
	}
	return s.Failed == 0 && s.Wrong == 0, nil
}

// send sends orders until ctx ends, looks at the ledger, and returns how long the sending took.
func send(ctx context.Context, f *flags, t *tally) time.Duration {
	client := newHTTP(f.connections)
	defer client.CloseIdleConnections()
	auditor := &auditor{ledger: f.ledger, http: newHTTP(1), timeout: f.timeout, tally: t}
	defer auditor.http.CloseIdleConnections()
	// One account is looked at after the other, next to the sending. There are few: each has thousands of orders.
	retired, done := make(chan *account, 1024), make(chan struct{})
	go func() {
		defer close(done)
		for a := range retired {
			if f.ledger != "" {
				auditor.account(a)
			}
		}
	}()
	clients := newAccounts(f.accounts, func(a *account) { retired <- a })
	trader := &trader{gateway: f.gateway, http: client, timeout: f.timeout, tally: t, mix: f.mix, symbols: strings.Split(f.symbols, ","), clients: clients}
	begin := time.Now()
	trader.run(ctx, f.rate, f.connections, f.requests)
	took := time.Since(begin)
	for _, a := range clients.active {
		if a.sent > 0 {
			retired <- a
		}
	}
	close(retired)
	<-done
	if f.ledger != "" {
		auditor.books()
	}
	return took
}

// hold holds the sessions until ctx ends.
func hold(ctx context.Context, f *flags, t *tally) {
	var wg sync.WaitGroup
	defer wg.Wait()
	prices := &ticker{tally: t, prices: map[string]*[keptPrices]known{}}
	watch := func(who string, counts func(*summary) *sessionCounts) *watcher {
		return &watcher{who: who, prices: prices, tally: t, counts: counts, silence: f.silence, grace: f.grace}
	}
	for i := range f.streams {
		w := watch(fmt.Sprintf("stream %d", i+1), func(s *summary) *sessionCounts { return &s.Streams })
		w.connect = func(ctx context.Context, begun func(string)) error {
			return w.stream(ctx, f.marketdata, f.timeout, begun)
		}
		wg.Go(func() { w.run(ctx) })
	}
	for i := range f.sessions {
		w := watch(fmt.Sprintf("FIX session %d", i+1), func(s *summary) *sessionCounts { return &s.FIX })
		session := fix.NewSession(fix.Config{Self: fmt.Sprintf("LOAD%d", i+1), Peer: "MERIDIAN", Heartbeat: heartbeat})
		w.connect = func(ctx context.Context, begun func(string)) error {
			return w.feed(ctx, f.fix, session, strings.Split(f.symbols, ","), f.timeout, begun)
		}
		wg.Go(func() { w.run(ctx) })
	}
}
