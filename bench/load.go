package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// connections is how many ask at a time.
	connections = 16
	// reading is how long each measurement of reads takes.
	reading = 2 * time.Second
	// queued is how many runs are asked for at once.
	queued = 1000
	// listed is how many runs there are while lists of them are read.
	listed = 100
	// followers of one log, and the lines that it has.
	followers     = 100
	followedLines = 20_000
)

// loaded is a server with an account, and a project in a folder.
type loaded struct {
	*server
	client *client
	folder string
}

// load starts a server with a project of the workflow.
func (b *bench) load(ctx context.Context, workflow string) (*loaded, error) {
	s, err := b.serve(ctx)
	if err != nil {
		return nil, err
	}
	l := &loaded{server: s}
	if err := l.prepare(ctx, b, workflow); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return l, nil
}

func (l *loaded) prepare(ctx context.Context, b *bench, workflow string) error {
	link, err := l.link()
	if err != nil {
		return err
	}
	if l.client, err = signIn(ctx, l.url, link); err != nil {
		return err
	}
	if l.folder, err = os.MkdirTemp(b.dir, "project-"); err != nil {
		return err
	}
	file := filepath.Join(l.folder, ".github", "workflows", "bench.yml")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(workflow), 0o644); err != nil {
		return err
	}
	return l.client.do(ctx, http.MethodPost, "/api/v1/projects", map[string]any{"id": "p", "name": "p", "source": map[string]any{"url": l.folder, "folder": true}}, nil)
}

// oneStepByHand is a workflow of one step that a person starts.
func oneStepByHand(script string) string {
	return "name: bench\non: workflow_dispatch\njobs:\n  job:\n    runs-on: ubuntu-latest\n    steps:\n      - run: " + script + "\n"
}

// start asks for runs, by connections at a time, and returns the last one's ID.
func (l *loaded) start(ctx context.Context, n int) (string, error) {
	var last atomic.Value
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(connections)
	for range n {
		all.Go(func() error {
			var started struct {
				Runs []struct {
					ID string `json:"id"`
				} `json:"runs"`
			}
			if err := l.client.do(ctx, http.MethodPost, "/api/v1/projects/p/runs", map[string]any{}, &started); err != nil {
				return err
			}
			if len(started.Runs) != 1 {
				return fmt.Errorf("%d runs were started instead of one", len(started.Runs))
			}
			last.Store(started.Runs[0].ID)
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return "", err
	}
	return last.Load().(string), nil
}

// ended waits until no run is left to do, and fails unless n have succeeded.
func (l *loaded) ended(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type page struct {
		Items []struct {
			ID string `json:"id"`
		} `json:"items"`
		Next string `json:"next"`
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var left page
		if err := l.client.do(ctx, http.MethodGet, "/api/v1/runs?status=queued&status=waiting&status=running&limit=1", nil, &left); err != nil {
			return err
		}
		if len(left.Items) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("run %s does not end: %w", left.Items[0].ID, context.Cause(ctx))
		case <-tick.C:
		}
	}
	good, after := 0, ""
	for {
		var p page
		if err := l.client.do(ctx, http.MethodGet, "/api/v1/runs?status=success&limit=200&after="+url.QueryEscape(after), nil, &p); err != nil {
			return err
		}
		good += len(p.Items)
		if after = p.Next; after == "" {
			break
		}
	}
	if good != n {
		return fmt.Errorf("%d runs have succeeded instead of %d", good, n)
	}
	return nil
}

// reads is how many requests a second a server answers, and what of the processor each takes.
func reads(ctx context.Context, b *bench) (figures []Figure, err error) {
	l, err := b.load(ctx, oneStepByHand(trivial))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.stop()) }()
	if _, err := l.start(ctx, listed); err != nil {
		return nil, err
	}
	if err := l.ended(ctx, listed); err != nil {
		return nil, err
	}
	for _, path := range []string{"/api/v1/me", "/api/v1/runs"} {
		var rates, costs []float64
		for round := range b.repeat + 1 {
			fmt.Fprintf(b.progress, "%-10s %-8s %d/%d\n", "reads", path, round, b.repeat)
			rate, cost, err := l.read(ctx, path)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				rates, costs = append(rates, rate), append(costs, cost)
			}
		}
		rate := Figure{Name: fmt.Sprintf("reads of %s by %d connections", path, connections), Unit: "/s"}
		rate.set("gantry", median(rates, same))
		cost := Figure{Name: "the server's CPU for one", Unit: "ms"}
		cost.set("gantry", median(costs, same))
		figures = append(figures, rate, cost)
	}
	return figures, nil
}

func same(v float64) float64 { return v }

// read asks for a path by all connections, and returns the answers a second and the milliseconds of the processor for one.
func (l *loaded) read(ctx context.Context, path string) (rate, cost float64, err error) {
	var n atomic.Int64
	before, start := l.cpu(), time.Now()
	all, ctx := errgroup.WithContext(ctx)
	for range connections {
		all.Go(func() error {
			for time.Since(start) < reading {
				if err := l.client.do(ctx, http.MethodGet, path, nil, nil); err != nil {
					return err
				}
				n.Add(1)
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return 0, 0, err
	}
	count := float64(n.Load())
	return count / time.Since(start).Seconds(), milliseconds(l.cpu()-before) / count, nil
}

// drained is a heap of trivial runs: how long until the server has accepted all of them, and until all have ended. It is
// measured once: it is a mean of a thousand already.
func drained(ctx context.Context, b *bench) (figures []Figure, err error) {
	l, err := b.load(ctx, oneStepByHand(trivial))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.stop()) }()
	if _, err := l.start(ctx, connections); err != nil { // does not count
		return nil, err
	}
	if err := l.ended(ctx, connections); err != nil {
		return nil, err
	}
	fmt.Fprintf(b.progress, "%-10s %-8s 1/1\n", "drain", "gantry")
	before, start := l.cpu(), time.Now()
	if _, err := l.start(ctx, queued); err != nil {
		return nil, err
	}
	accepted := time.Since(start)
	if err := l.ended(ctx, connections+queued); err != nil {
		return nil, err
	}
	took := time.Since(start)
	values := []Figure{
		{Name: fmt.Sprintf("%d runs of one step, until all are accepted", queued), Unit: "s"},
		{Name: "until all have ended", Unit: "s"},
		{Name: "ended runs", Unit: "/s"},
		{Name: "the server's CPU for one", Unit: "ms"},
		{Name: "its memory in the end", Unit: "MB"},
	}
	for i, v := range []float64{accepted.Seconds(), took.Seconds(), queued / took.Seconds(), milliseconds(l.cpu()-before) / queued, l.resident()} {
		values[i].set("gantry", v)
	}
	return values, nil
}

// marker stands before the number of each line that followers look for. The script is in the log too, so it does not have the
// marker with a number behind it.
const marker = "line-"

// digits of a line's number.
const digits = 7

// followed is a log that many follow while it is written: what reaches them, and what it costs. A line that is missing or doubled
// is an error.
func followed(ctx context.Context, b *bench) (figures []Figure, err error) {
	gate := filepath.Join(b.dir, "gate")
	script := fmt.Sprintf(`until [ -e "%s" ]; do sleep 0.01; done; awk 'BEGIN { for (i = 1; i <= %d; i++) printf "%s%%0%dd of a log that many read at once\n", i }'`, gate, followedLines, marker, digits)
	l, err := b.load(ctx, oneStepByHand(strconv.Quote(script)))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.stop()) }()
	var rates, costs, resident []float64
	for round := range b.repeat + 1 {
		fmt.Fprintf(b.progress, "%-10s %-8s %d/%d\n", "follow", "gantry", round, b.repeat)
		if err := os.RemoveAll(gate); err != nil {
			return nil, err
		}
		took, cpu, err := l.follow(ctx, gate)
		if err != nil {
			return nil, err
		}
		if round > 0 {
			rates = append(rates, followers*followedLines/took.Seconds())
			costs = append(costs, cpu.Seconds()/took.Seconds()*100)
			resident = append(resident, l.resident())
		}
	}
	values := []Figure{
		{Name: fmt.Sprintf("lines to %d followers of a log", followers), Unit: "/s"},
		{Name: "the server's CPU meanwhile", Unit: "%"},
		{Name: "its memory when all have everything", Unit: "MB"},
	}
	for i, v := range []float64{median(rates, same), median(costs, same), median(resident, same)} {
		values[i].set("gantry", v)
	}
	return values, nil
}

// follow starts a run, follows its log by all followers, opens the gate when they are there, and returns the time until the last
// one has everything.
func (l *loaded) follow(ctx context.Context, gate string) (took, cpu time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	run, err := l.start(ctx, 1)
	if err != nil {
		return 0, 0, err
	}
	job, err := l.job(ctx, run)
	if err != nil {
		return 0, 0, err
	}
	all, ctx := errgroup.WithContext(ctx)
	streams := make([]*http.Response, followers)
	for i := range streams {
		// The answer's head comes before any line does.
		streams[i], err = l.client.send(ctx, http.MethodGet, "/api/v1/jobs/"+job+"/log/follow", nil)
		if err != nil {
			return 0, 0, err
		}
		defer streams[i].Body.Close()
	}
	before, start := l.cpu(), time.Now()
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		return 0, 0, err
	}
	for _, s := range streams {
		all.Go(func() error { return readLines(bufio.NewReaderSize(s.Body, 64<<10)) })
	}
	if err := all.Wait(); err != nil {
		return 0, 0, err
	}
	return time.Since(start), l.cpu() - before, nil
}

// job waits until a run is planned, and returns the ID of its only job.
func (l *loaded) job(ctx context.Context, run string) (string, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var jobs struct {
			Items []struct {
				ID string `json:"id"`
			} `json:"items"`
		}
		if err := l.client.do(ctx, http.MethodGet, "/api/v1/runs/"+run+"/jobs", nil, &jobs); err != nil {
			return "", err
		}
		switch len(jobs.Items) {
		case 0:
		case 1:
			return jobs.Items[0].ID, nil
		default:
			return "", fmt.Errorf("the run has %d jobs instead of one", len(jobs.Items))
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("run %s gets no job: %w", run, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// readLines reads events until the end of the log, and fails unless each line has come once and in order. It looks for the lines' own
// numbers instead of decoding: the reader shares the machine with what is measured.
func readLines(r *bufio.Reader) error {
	seen := 0
	for {
		event, err := r.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("a follower has %d lines of %d: %w", seen, followedLines, err)
		}
		if bytes.Equal(event, []byte("event: end\n")) {
			if seen != followedLines {
				return fmt.Errorf("a follower has %d lines of %d in the end", seen, followedLines)
			}
			return nil
		}
		for {
			_, rest, ok := bytes.Cut(event, []byte(marker))
			if !ok {
				break
			}
			event = rest
			if len(rest) < digits {
				continue
			}
			n, err := strconv.Atoi(string(rest[:digits]))
			if err != nil {
				continue // the script
			}
			if seen++; n != seen {
				return fmt.Errorf("a follower gets line %d where %d should be", n, seen)
			}
		}
	}
}

// link reads the one-time link of the first account, which the server prints behind its address.
func (s *server) link() (string, error) {
	line, err := s.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("read the link of the first account: %w", err)
	}
	at := strings.Index(line, "http")
	if at < 0 {
		return "", fmt.Errorf("the server gives no link, but %q", line)
	}
	return strings.TrimSpace(line[at:]), nil
}
