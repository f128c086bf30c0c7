package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/api/client"
	"github.com/gantry-ops/gantry/cmd/gantry/internal/tables"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/runs/jobs"
)

const logsLong = `Logs writes the log of a job, or of all jobs of a run with their names in front.

With -f it goes on until the end, and ends with 1 when what it followed did not succeed. Colours are kept for a terminal, and left out
elsewhere.`

// polling is how often a run is looked at that is waited for.
const polling = 500 * time.Millisecond

// poll calls f at once and then again and again, until it is done.
func poll(ctx context.Context, f func() (bool, error)) error {
	tick := time.NewTicker(polling)
	defer tick.Stop()
	for {
		done, err := f()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

func (r *remote) logsCommand() *cobra.Command {
	t := &target{r: r}
	var follow, times bool
	cmd := &cobra.Command{
		Use:   "logs RUN|JOB [JOB NAME]",
		Short: "Write the log of a job, or of all jobs of a run",
		Long:  logsLong,
		Example: "  gantry logs gateway                 the newest run of a project\n  gantry logs -f gateway\n  gantry logs gateway 'Test with GOMAXPROCS=1'\n" +
			"  gantry logs 1795410874041081.1.2 > job.log",
		Args: cobra.RangeArgs(1, 2),
		ValidArgsFunction: func(cmd *cobra.Command, given []string, prefix string) ([]string, cobra.ShellCompDirective) {
			if len(given) == 0 {
				return t.complete(runIDs())(cmd, given, prefix)
			}
			return t.complete(func(ctx context.Context, c *client.Client) ([]string, error) {
				run, err := findRun(ctx, c, given[0])
				if err != nil {
					return nil, err
				}
				list, err := c.Jobs(ctx, run.ID, run.Attempt)
				var names []string
				for _, j := range list {
					names = append(names, j.Name)
				}
				return names, err
			})(cmd, given, prefix)
		},
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			out := cmd.OutOrStdout()
			file, isFile := out.(*os.File)
			w := &logWriter{out: out, json: t.output == "json", times: times, color: isFile && r.o.Color(file)}
			if strings.Count(args[0], ".") == 2 && strings.Trim(args[0], "0123456789.") == "" {
				job, err := c.Job(ctx, args[0])
				if err != nil {
					return err
				}
				return w.one(ctx, c, job, follow)
			}
			run, err := findRun(ctx, c, args[0])
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return w.all(ctx, c, run, follow)
			}
			job, err := findJob(ctx, c, run, args[1])
			if err != nil {
				return err
			}
			return w.one(ctx, c, job, follow)
		}),
	}
	t.register(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the end")
	cmd.Flags().BoolVar(&times, "timestamps", false, "write the time of each line in front of it")
	return cmd
}

// findJob returns a job of a run by its name or its key.
func findJob(ctx context.Context, c *client.Client, run *runs.Run, name string) (*jobs.Job, error) {
	list, err := c.Jobs(ctx, run.ID, run.Attempt)
	if err != nil {
		return nil, err
	}
	var names []string
	for i, j := range list {
		if j.Name == name || j.Path == name || j.Key == name && j.Leg == "" {
			return &list[i], nil
		}
		names = append(names, j.Name)
	}
	return nil, fmt.Errorf("run %s has no job %q; it has: %s", run.ID, name, strings.Join(names, ", "))
}

// logWriter writes lines of one or several jobs.
type logWriter struct {
	mu    sync.Mutex
	out   io.Writer
	json  bool
	times bool
	color bool
	// prefixes are written in front of each line, so that jobs can be told apart.
	prefixes bool
}

// escapes is all that a terminal obeys (ECMA-48): CSI, the strings (OSC, DCS and their like), the single sequences, and what is left of
// control characters, so that a sequence that is not ended is not ended by a later line either. A tab is text.
var escapes = regexp.MustCompile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|[\\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\\\)|[@-OQ-WYZ\\\\])|[\x00-\x08\x0a-\x1f\x7f\u0080-\u009f]")

// kept are those of them that only colour.
var kept = regexp.MustCompile("^\x1b\\[[0-9;:]*m$")

func (w *logWriter) text(line string) string {
	if !strings.ContainsFunc(line, unicode.IsControl) {
		return line
	}
	return escapes.ReplaceAllStringFunc(line, func(s string) string {
		if w.color && kept.MatchString(s) {
			return s
		}
		return ""
	})
}

// logLine is a line with its job, as JSON has it.
type logLine struct {
	Job  string `json:"job"`
	Name string `json:"name"`
	jobs.LogLine
}

// lines writes some lines of a job in one piece.
func (w *logWriter) lines(job *jobs.Job, list []jobs.LogLine) error {
	var b bytes.Buffer
	for _, l := range list {
		if w.json {
			// Encoding to memory fails only for what JSON cannot have, and lines are text.
			if err := json.NewEncoder(&b).Encode(logLine{job.ID, job.Name, l}); err != nil {
				return err
			}
			continue
		}
		if l.Group == "end" {
			continue // the marker has no text
		}
		if w.times {
			b.WriteString(l.Time.UTC().Format("2006-01-02T15:04:05.000Z "))
		}
		if w.prefixes {
			fmt.Fprintf(&b, "[%s] ", tables.OneLine(job.Name))
		}
		if l.Group == "begin" {
			b.WriteString("▼ ")
		}
		text := w.text(l.Text)
		b.WriteString(text)
		if w.color && strings.Contains(text, "\x1b") {
			b.WriteString("\x1b[0m") // a colour that was not ended is the line's own affair
		}
		b.WriteByte('\n')
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.out.Write(b.Bytes())
	return err
}

// page is how many lines are asked for at a time.
const page = 5000

// whole writes all that a log has now.
func (w *logWriter) whole(ctx context.Context, c *client.Client, job *jobs.Job) error {
	for from := int64(1); ; {
		p, err := c.Log(ctx, job.ID, from, page)
		if err != nil {
			return err
		}
		if err := w.lines(job, p.Lines); err != nil {
			return err
		}
		from += int64(len(p.Lines))
		if len(p.Lines) == 0 || from > p.Total {
			return nil
		}
	}
}

// one writes the log of one job.
func (w *logWriter) one(ctx context.Context, c *client.Client, job *jobs.Job, follow bool) error {
	if !follow {
		return w.whole(ctx, c, job)
	}
	if err := w.follow(ctx, c, job); err != nil {
		return err
	}
	ended, err := c.Job(ctx, job.ID)
	if err == nil && ended.Status != runs.Success {
		fmt.Fprintf(os.Stderr, "%s: %s%s\n", ended.Name, ended.Status, because(ended.Reason))
		err = ErrFailed
	}
	return err
}

func (w *logWriter) follow(ctx context.Context, c *client.Client, job *jobs.Job) error {
	return c.FollowLog(ctx, job.ID, 1, func(list []jobs.LogLine) error { return w.lines(job, list) })
}

// all writes the logs of all jobs of a run: one after the other, or, followed, as they come.
func (w *logWriter) all(ctx context.Context, c *client.Client, run *runs.Run, follow bool) error {
	w.prefixes = true
	if !follow {
		list, err := c.Jobs(ctx, run.ID, run.Attempt)
		if err != nil {
			return err
		}
		for i := range list {
			if err := w.whole(ctx, c, &list[i]); err != nil {
				return err
			}
		}
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var following sync.WaitGroup
	begun := map[string]bool{}
	err := poll(ctx, func() (bool, error) {
		// The run before its jobs: when it has ended, no job begins any more.
		now, err := c.Run(ctx, run.ID)
		if err != nil {
			return false, err
		}
		list, err := c.Jobs(ctx, run.ID, run.Attempt)
		if err != nil {
			return false, err
		}
		for _, j := range list {
			if begun[j.ID] || j.StartedAt.IsZero() {
				continue
			}
			begun[j.ID] = true
			following.Go(func() {
				if err := w.follow(ctx, c, &j); err != nil {
					cancel(err)
				}
			})
		}
		run.Status, run.Reason = now.Status, now.Reason
		return now.Status.Ended() || now.Attempt > run.Attempt, nil
	})
	following.Wait()
	if err = errors.Join(err, context.Cause(ctx)); err != nil {
		return err
	}
	if run.Status != runs.Success {
		fmt.Fprintf(os.Stderr, "%s %s #%d: %s%s\n", run.Project, run.Pipeline, run.Number, run.Status, because(run.Reason))
		return ErrFailed
	}
	return nil
}
