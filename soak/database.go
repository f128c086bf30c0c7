package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// outages is how often the database goes away, and for how long.
const (
	outages = 3
	outage  = 2 * time.Second
)

// databaseGone cuts the connections to PostgreSQL and refuses new ones for a while. The server says that it is not ready, comes back by
// itself, and everything that was acknowledged ends well, each job once.
func databaseGone(ctx context.Context, o options, dir string) (_ string, err error) {
	if o.db == "" {
		return "", skipped("it needs a PostgreSQL: give -db")
	}
	var drop func() error
	if o.db, drop, err = freshSchema(ctx, o.db); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, drop()) }()
	var l *line
	if o.db, l, err = behind(o.db, dir); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, l.cut()) }()
	o.servers = 1
	w, err := newWorld(ctx, o, dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	s := w.servers[0]
	refused, slowest := 0, time.Duration(0)
	for range outages {
		if err := w.mustAsk(ctx, 2); err != nil {
			return "", err
		}
		time.Sleep(200 * time.Millisecond) // some way into the runs
		if err := l.cut(); err != nil {
			return "", err
		}
		gone := time.Now()
		if err := until(ctx, 10*time.Second, "503 from /readyz without a database", func() bool { return s.readiness(ctx) == http.StatusServiceUnavailable }); err != nil {
			return "", err
		}
		w.asked++
		asked := w.asked
		var answer *apiError
		switch _, err := w.post(ctx, s.address, asked); {
		case errors.As(err, &answer) && answer.Status >= 500 && strings.Contains(answer.Body, `"title"`):
			refused++
		case err == nil:
			return "", errors.New("a run was acknowledged while there was no database")
		default:
			return "", fmt.Errorf("a run was asked for without a database; want an answer of 5xx with a reason: %w", err)
		}
		time.Sleep(max(0, outage-time.Since(gone)))
		if err := l.mend(); err != nil {
			return "", err
		}
		back := time.Now()
		if err := until(ctx, 30*time.Second, "readiness with the database back", func() bool { return s.readiness(ctx) == http.StatusOK }); err != nil {
			return "", err
		}
		slowest = max(slowest, time.Since(back))
		// What was refused is asked for again, by the same key.
		if _, err := w.post(ctx, s.address, asked); err != nil {
			return "", fmt.Errorf("the database is back, and a run is not taken: %w", err)
		}
		if !s.alive() {
			return "", fmt.Errorf("the server has ended: %s", s.tail())
		}
	}
	f, err := w.settle(ctx)
	if err != nil {
		return "", err
	}
	if err := f.verdict(); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d outages of %v; %d asks were refused meanwhile and taken afterwards, all %d runs ended well with each job once, ready again at most %v after the database was back",
		outages, outage, refused, f.runs, slowest.Round(time.Millisecond)), nil
}

// behind puts a line that can be cut before the database of an address, and returns the address behind it.
func behind(address, dir string) (string, *line, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", nil, err
	}
	q := u.Query()
	if socket := q.Get("host"); strings.HasPrefix(socket, "/") {
		name := ".s.PGSQL." + cmp.Or(q.Get("port"), u.Port(), "5432")
		own := filepath.Join(dir, "sock")
		if err := os.Mkdir(own, 0o700); err != nil {
			return "", nil, err
		}
		l, err := newLine("unix", filepath.Join(own, name), "unix", filepath.Join(socket, name))
		q.Set("host", own)
		u.RawQuery = q.Encode()
		return u.String(), l, err
	}
	l, err := newLine("tcp", "127.0.0.1:0", "tcp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "5432")))
	if err == nil {
		u.Host = l.from
	}
	return u.String(), l, err
}
