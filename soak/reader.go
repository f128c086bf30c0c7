package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// The log of the slow reader's job, and how many follow it beside the slow one.
const (
	longLog   = 200_000
	followers = 5
)

// slowReader has a job write much, one follower read nothing of it, and others all. The job and the others take no notice, and the slow
// one is cut off.
func slowReader(ctx context.Context, o options, dir string) (_ string, err error) {
	o.db, o.servers = "", 1
	w, err := newWorld(ctx, o, dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	s := w.servers[0]
	gate := filepath.Join(dir, "gate")
	folder := filepath.Join(dir, "loud")
	file := filepath.Join(folder, ".github", "workflows", "loud.yml")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return "", err
	}
	text := fmt.Sprintf("name: loud\non: workflow_dispatch\njobs:\n  loud:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          while [ ! -e '%s' ]; do sleep 0.02; done\n          seq -f 'this is line %%.0f of a log that is long' %d\n", gate, longLog)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return "", err
	}
	if err := w.client.do(ctx, http.MethodPost, s.address, "/api/v1/projects", map[string]any{"id": "loud", "source": map[string]any{"url": folder, "folder": true}}, nil); err != nil {
		return "", err
	}
	var started struct {
		Runs []runRow `json:"runs"`
	}
	if err := w.client.do(ctx, http.MethodPost, s.address, "/api/v1/projects/loud/runs", map[string]any{"file": ".github/workflows/loud.yml"}, &started); err != nil {
		return "", err
	}
	run := started.Runs[0].ID
	var job jobRow
	err = until(ctx, 30*time.Second, "the job", func() bool {
		var list page[jobRow]
		if err := w.client.do(ctx, http.MethodGet, s.address, "/api/v1/runs/"+run+"/jobs", nil, &list); err != nil || len(list.Items) != 1 {
			return false
		}
		job = list.Items[0]
		return job.Status == "running"
	})
	if err != nil {
		return "", err
	}
	// The slow one: it asks, and reads nothing. Its window is small, so that little is on its way.
	slow, err := net.Dial("tcp", s.address)
	if err != nil {
		return "", err
	}
	defer slow.Close()
	if err := slow.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(slow, "GET /api/v1/jobs/%s/log/follow HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", job.ID, s.address, w.client.token); err != nil {
		return "", err
	}
	var reading sync.WaitGroup
	failed := make([]error, followers)
	ready := make(chan struct{}, followers)
	for n := range followers {
		reading.Go(func() { failed[n] = w.follow(ctx, s.address, job.ID, ready) })
	}
	for range followers {
		<-ready
	}
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		return "", err
	}
	began := time.Now()
	reading.Wait()
	if err := errors.Join(failed...); err != nil {
		return "", err
	}
	took := time.Since(began)
	if err := w.client.do(ctx, http.MethodGet, s.address, "/api/v1/jobs/"+job.ID, nil, &job); err != nil {
		return "", err
	}
	if job.Status != "success" {
		return "", fmt.Errorf("the job ended with %s: %s", job.Status, job.Reason)
	}
	cut, read, err := cutOff(slow)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d followers had all %d lines after %v while another read nothing; that one was cut off %v later, with %d KiB on its way", followers, longLog, took.Round(10*time.Millisecond), cut.Round(time.Second), read>>10), nil
}

// follow reads the stream of a log to its end: each line once, in order.
func (w *world) follow(ctx context.Context, address, job string, ready chan<- struct{}) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/api/v1/jobs/"+job+"/log/follow", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+w.client.token)
	res, err := http.DefaultClient.Do(req)
	ready <- struct{}{}
	if err != nil {
		return err
	}
	defer res.Body.Close()
	next := int64(1)
	in := bufio.NewScanner(res.Body)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		if in.Text() == "event: end" {
			if next <= longLog {
				return fmt.Errorf("the stream of %s ended before line %d", job, next)
			}
			return nil
		}
		data, ok := strings.CutPrefix(in.Text(), "data: ")
		if !ok {
			continue
		}
		var part struct {
			Lines []struct {
				N int64 `json:"n"`
			} `json:"lines"`
		}
		if err := json.Unmarshal([]byte(data), &part); err != nil {
			return err
		}
		for _, l := range part.Lines {
			if l.N != next {
				return fmt.Errorf("line %d of %s came in place of %d", l.N, job, next)
			}
			next++
		}
	}
	return fmt.Errorf("the stream of %s broke off before line %d: %w", job, next, errors.Join(in.Err(), io.ErrUnexpectedEOF))
}

// cutOff waits until the server has closed a connection that nobody reads from, and returns how long that took and what was on its way.
func cutOff(c net.Conn) (time.Duration, int, error) {
	began := time.Now()
	// The kernel of this side knows of the end only behind what it has not handed out, so it is looked for on the server's side.
	local := c.LocalAddr().(*net.TCPAddr).Port
	for connected(local) {
		if time.Since(began) > 2*time.Minute {
			return 0, 0, errors.New("who reads nothing was not cut off within 2 min")
		}
		time.Sleep(200 * time.Millisecond)
	}
	took := time.Since(began)
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, 0, err
	}
	b, _ := io.ReadAll(c) // a reset is an end as good as another
	if strings.Contains(string(b), "event: end") {
		return 0, 0, errors.New("who reads nothing had the whole log on its way: the log is too short to try anything")
	}
	return took, len(b), nil
}

// connected reports whether the far end of a connection of this machine still has it: in /proc/net/tcp there is a line whose remote port is
// the given one, and that is established.
func connected(port int) bool {
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) > 3 && strings.HasSuffix(f[2], fmt.Sprintf(":%04X", port)) && f[3] == "01" {
			return true
		}
	}
	return false
}
