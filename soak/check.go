package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

type runRow struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Attempt int    `json:"attempt"`
}

type jobRow struct {
	ID       string    `json:"id"`
	Path     string    `json:"path"`
	Name     string    `json:"name"`
	Status   string    `json:"status"`
	Reason   string    `json:"reason"`
	Try      int       `json:"try"`
	Finished time.Time `json:"finished_at"`
}

type event struct {
	Seq     int64     `json:"seq"`
	Time    time.Time `json:"time"`
	Type    string    `json:"type"`
	Run     string    `json:"run"`
	Subject string    `json:"subject"`
}

// findings are what was counted and what was wrong.
type findings struct {
	runs, jobs, retried int
	faults              []string
}

func (f *findings) fault(format string, args ...any) {
	f.faults = append(f.faults, fmt.Sprintf(format, args...))
}

// settle waits until all runs have ended, ends the servers and compares.
func (w *world) settle(ctx context.Context) (*findings, error) {
	address := w.servers[0].address
	deadline := time.Now().Add(w.o.settle)
	var runs []runRow
	for {
		var err error
		if runs, err = all[runRow](ctx, w.client, address, "/api/v1/runs?project=soak"); err != nil {
			return nil, err
		}
		open := slices.IndexFunc(runs, func(r runRow) bool { return !ended(r.Status) })
		if open < 0 {
			break
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%v after the last kill the run %s is still %s", w.o.settle, runs[open].ID, runs[open].Status)
		}
		time.Sleep(200 * time.Millisecond)
	}
	f := &findings{runs: len(runs)}
	marks, err := w.readLedger()
	if err != nil {
		return nil, err
	}
	events, err := all[event](ctx, w.client, address, "/api/v1/events?project=soak&order=asc")
	if err != nil {
		return nil, err
	}
	f.checkEvents(events)
	known := map[string]bool{}
	for _, r := range runs {
		if known[r.ID] {
			f.fault("the run %s is listed twice", r.ID)
		}
		known[r.ID] = true
		if err := w.checkRun(ctx, f, address, r, marks, events); err != nil {
			return nil, err
		}
	}
	for _, id := range w.acknowledged {
		if !known[id] {
			f.fault("the run %s was acknowledged and is not there", id)
		}
	}
	if n := len(runs); n > w.asked {
		f.fault("%d runs were asked for, and there are %d", w.asked, n)
	}
	if err := w.stop(); err != nil {
		f.fault("%v", err)
	}
	w.checkLeftovers(f)
	return f, nil
}

func ended(status string) bool {
	return slices.Contains([]string{"success", "failure", "cancelled", "skipped"}, status)
}

// mark is a line of the ledger.
type mark struct {
	what, run, attempt, job string
	at                      time.Time
}

func (w *world) readLedger() ([]mark, error) {
	b, err := os.ReadFile(w.ledger)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var out []mark
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) != 5 {
			continue // cut off by a kill
		}
		micros, err := strconv.ParseInt(f[4], 10, 64)
		if err != nil {
			continue
		}
		out = append(out, mark{f[0], f[1], f[2], f[3], time.UnixMicro(micros)})
	}
	return out, nil
}

// slack is how far the clocks of what is compared may be apart: the file's and the database's are the same, but an event has its time from
// before its commit.
const slack = 50 * time.Millisecond

// checkRun looks at one run: it succeeded, each of its jobs did, none ran again after its end, and their logs are whole.
func (w *world) checkRun(ctx context.Context, f *findings, address string, r runRow, marks []mark, events []event) error {
	if r.Status != "success" {
		f.fault("the run %s ended with %s: %s", r.ID, r.Status, r.Reason)
		return nil
	}
	var list page[jobRow]
	if err := w.client.do(ctx, http.MethodGet, address, "/api/v1/runs/"+r.ID+"/jobs", nil, &list); err != nil {
		return err
	}
	if len(list.Items) != 3 {
		f.fault("the run %s has %d jobs", r.ID, len(list.Items))
	}
	finished := map[string]int{}
	for _, e := range events {
		if e.Run == r.ID && (e.Type == "job.finished" || e.Type == "run.finished") {
			finished[e.Type+" "+e.Subject]++
		}
	}
	for what, n := range finished {
		if n > 1 {
			f.fault("the run %s has %d events %s", r.ID, n, what)
		}
	}
	for _, j := range list.Items {
		f.jobs++
		if j.Try > 1 {
			f.retried++
		}
		if j.Status != "success" {
			f.fault("the run %s succeeded, and its job %s ended with %s: %s", r.ID, j.Path, j.Status, j.Reason)
		}
		if finished["job.finished "+j.ID] != 1 {
			f.fault("the job %s has %d events of its end", j.ID, finished["job.finished "+j.ID])
		}
		short := ledgerName(j.Path)
		ends := 0
		for _, m := range marks {
			if m.run != r.ID || m.job != short {
				continue
			}
			if m.what == "end" {
				ends++
			}
			if m.at.After(j.Finished.Add(slack)) {
				f.fault("the job %s ended at %v and was at work again at %v", j.ID, j.Finished, m.at)
			}
		}
		if ends == 0 {
			f.fault("the job %s succeeded and never came to its end", j.ID)
		}
		if ends > j.Try {
			f.fault("the job %s came %d times to its end in %d tries", j.ID, ends, j.Try)
		}
		if err := w.checkLog(ctx, f, address, j); err != nil {
			return err
		}
	}
	return nil
}

// ledgerName is what a job calls itself in the ledger.
func ledgerName(path string) string {
	name, leg, ok := strings.Cut(path, " (")
	if !ok {
		return name
	}
	return name + "-" + strings.TrimSuffix(leg, ")")
}

// checkLog: a job's log has each line once, in order, numbered without gaps.
func (w *world) checkLog(ctx context.Context, f *findings, address string, j jobRow) error {
	if !strings.HasPrefix(j.Path, "first") {
		return nil
	}
	var log struct {
		Lines []struct {
			N    int64  `json:"n"`
			Text string `json:"x"`
		} `json:"lines"`
		Complete bool `json:"complete"`
	}
	if err := w.client.do(ctx, http.MethodGet, address, "/api/v1/jobs/"+j.ID+"/log?from=1&limit=1000", nil, &log); err != nil {
		return err
	}
	leg := strings.TrimPrefix(ledgerName(j.Path), "first-")
	next := 1
	for i, l := range log.Lines {
		if l.N != int64(i+1) {
			f.fault("the log of %s has line %d in place %d", j.ID, l.N, i+1)
		}
		if l.Text == fmt.Sprintf("line %d of %s", next, leg) {
			next++
		}
	}
	if next != 21 || !log.Complete {
		f.fault("the log of %s has %d of 20 lines, complete: %v", j.ID, next-1, log.Complete)
	}
	return nil
}

// checkEvents: their numbers grow.
func (f *findings) checkEvents(events []event) {
	for i := 1; i < len(events); i++ {
		if events[i].Seq <= events[i-1].Seq {
			f.fault("event %d follows event %d", events[i].Seq, events[i-1].Seq)
		}
	}
}

// checkLeftovers: no process of a job, and no work folder.
func (w *world) checkLeftovers(f *findings) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return // not a system that tells
	}
	for _, e := range entries {
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err != nil {
			continue
		}
		for v := range strings.SplitSeq(string(env), "\x00") {
			if strings.HasPrefix(v, "GITHUB_WORKSPACE="+w.dir) {
				f.fault("process %s of a job is left over", e.Name())
			}
		}
	}
	for _, s := range w.servers {
		left, err := filepath.Glob(filepath.Join(s.dir, "cache", "work", "*", "*"))
		if err == nil && len(left) > 0 {
			f.fault("work folders are left over: %q", left)
		}
	}
}
