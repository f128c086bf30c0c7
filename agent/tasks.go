package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/agent/bundle"
	"github.com/gantry-ops/gantry/agent/disk"
	"github.com/gantry-ops/gantry/agent/process"
)

const (
	// tasksDir has a record of each task that is wanted.
	tasksDir = "tasks"
	// labelTask tells the process of a task from an instance.
	labelTask = "task"
	// defaultTimeout is how long a task may take that does not say it.
	defaultTimeout = 10 * time.Minute
	// mostOutput is how much of the end of what a task has said is kept, in bytes, outputLines from how many lines.
	mostOutput  = 4 << 10
	outputLines = 200
	// askAgain is the time between two looks at instances that a check cannot be made of yet, askWithin how long one may take to answer.
	askAgain  = 200 * time.Millisecond
	askWithin = 10 * time.Second
)

// taskRecord is what is on disk of a task: before it begins, and when it has ended.
type taskRecord struct {
	Task  string    `json:"task"`
	Begun time.Time `json:"begun"`
	// Started is set before its process is: from then on it may have done something.
	Started bool `json:"started,omitempty"`
	TaskStatus
}

func (r *taskRecord) ended() bool { return r.State != TaskRunning }

func (h *Host) taskFile(id string) string {
	return filepath.Join(h.o.Dir, tasksDir, id+".json")
}

// loadTasks reads the records that there are.
func (h *Host) loadTasks() error {
	dir := filepath.Join(h.o.Dir, tasksDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok {
			continue // what a death has left of a write
		}
		b, err := os.ReadFile(h.taskFile(id))
		if err != nil {
			return err
		}
		r := &taskRecord{}
		if err := json.Unmarshal(b, r); err != nil || r.Task != id || r.State == "" {
			r = &taskRecord{Task: id, TaskStatus: TaskStatus{State: TaskFailed, Reason: "its record on the host is damaged, so what became of it is not known"}}
		}
		h.tasks[id] = r
	}
	return nil
}

// keep stores a task's record.
func (h *Host) keep(r *taskRecord) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return disk.WriteFile(h.taskFile(r.Task), append(b, '\n'), 0o600)
}

// finish records how a task has ended. Where that cannot be stored it is tried again: an outcome that is told stays.
func (h *Host) finish(r *taskRecord, state, reason, output string) {
	done := *r
	done.TaskStatus = TaskStatus{State: state, Reason: reason, Output: output}
	if err := h.keep(&done); err != nil {
		h.problem(r.Task, fmt.Sprintf("keep how the task ended: %v", err))
		return
	}
	*r = done
	h.problem(r.Task, "")
	h.log.Info("a task has ended", "task", r.Task, "state", state, "reason", reason)
	h.poke()
}

// workTasks goes one step with the tasks that are wanted, and forgets those that are not. It returns the IDs of processes that tasks still need.
func (h *Host) workTasks(ctx context.Context, running map[string]process.Status) map[string]bool {
	needed, wanted := map[string]bool{}, map[string]bool{}
	for _, t := range h.desired.Tasks {
		wanted[t.ID] = true
		r := h.tasks[t.ID]
		if r == nil {
			r = &taskRecord{Task: t.ID, Begun: time.Now().UTC(), TaskStatus: TaskStatus{State: TaskRunning}}
			if err := h.keep(r); err != nil {
				h.problem(t.ID, fmt.Sprintf("keep that the task begins: %v", err))
				continue
			}
			h.tasks[t.ID] = r
		}
		if r.ended() {
			continue
		}
		left := time.Until(r.Begun.Add(timeoutOf(t)))
		switch {
		case t.HTTP != nil:
			h.ask(ctx, t, r, left)
		case t.Instance != nil:
			needed[t.ID] = true
			h.runTask(ctx, t, r, left, running)
			if r.ended() {
				delete(needed, t.ID)
			}
		}
	}
	for id := range h.tasks {
		if _, still := running[id]; !wanted[id] && !still {
			if err := os.Remove(h.taskFile(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
				h.problem(id, fmt.Sprintf("remove the record of the task: %v", err))
				continue
			}
			delete(h.tasks, id)
			h.problem(id, "")
		}
	}
	return needed
}

func timeoutOf(t Task) time.Duration {
	if t.Timeout > 0 {
		return t.Timeout
	}
	return defaultTimeout
}

// runTask starts a task's process, or looks what became of it.
func (h *Host) runTask(ctx context.Context, t Task, r *taskRecord, left time.Duration, running map[string]process.Status) {
	st, there := running[t.ID]
	switch {
	case there && (st.State == process.Ended || st.State == process.Crashed):
		output := h.output(ctx, t.ID)
		if st.State == process.Ended {
			h.finish(r, TaskSucceeded, "", output)
			return
		}
		reason := st.LastExit
		if reason == "" {
			reason = st.Reason
		}
		h.finish(r, TaskFailed, reason, output)
	case left <= 0:
		// The process is let go as one that nobody wants any more, with its whole group.
		h.finish(r, TaskFailed, fmt.Sprintf("it has not ended after %v", timeoutOf(t)), h.output(ctx, t.ID))
	case there || h.leaving[t.ID]:
	case r.Started:
		h.finish(r, TaskFailed, "its process is gone and what became of it is not known; it can be asked for again as another task", "")
	default:
		h.startTask(ctx, t, r)
	}
}

// startTask starts the process, once the candidate is there.
func (h *Host) startTask(ctx context.Context, t Task, r *taskRecord) {
	i := *t.Instance
	i.Spec.ID = t.ID
	if at, ok := h.retry[t.ID]; ok && time.Now().Before(at) {
		return
	}
	b, err := h.bundles.Get(i.Bundle)
	if errors.Is(err, os.ErrNotExist) {
		h.fetch(ctx, i)
		return
	}
	if err != nil {
		h.retry[t.ID] = time.Now().Add(again)
		h.problem(t.ID, err.Error())
		return
	}
	spec := i.spec(b.Dir)
	spec.Labels = map[string]string{labelTask: t.ID, labelBundle: i.Bundle, labelDrain: "0s"}
	spec.NoRestart, spec.Check, spec.Ports = true, process.Check{}, nil
	if spec.Env, err = h.dataFolder(i.Service, spec.Env); err != nil {
		h.finish(r, TaskFailed, err.Error(), "")
		return
	}
	started := *r
	started.Started = true
	if err := h.keep(&started); err != nil {
		h.problem(t.ID, fmt.Sprintf("keep that the task starts: %v", err))
		return
	}
	*r = started
	if _, err := h.supervisor.Start(ctx, spec); err != nil {
		h.finish(r, TaskFailed, fmt.Sprintf("it could not be started: %v", err), "")
	}
}

// output is the end of what a task's process has written.
func (h *Host) output(ctx context.Context, id string) string {
	i, err := h.supervisor.Get(id)
	if err != nil {
		return ""
	}
	var b strings.Builder
	for l, err := range i.Logs(ctx, process.LogOptions{Last: outputLines}) {
		if err != nil {
			break
		}
		if l.Stream != process.Agent {
			b.Write(l.Text)
			b.WriteByte('\n')
		}
	}
	text := strings.ToValidUTF8(b.String(), "\uFFFD")
	if len(text) > mostOutput {
		text = strings.ToValidUTF8(text[len(text)-mostOutput:], "")
	}
	return text
}

// ask makes a check of instances, beside the host's other work.
func (h *Host) ask(ctx context.Context, t Task, r *taskRecord, left time.Duration) {
	if h.asking[t.ID] {
		return
	}
	h.asking[t.ID] = true
	h.working.Go(func() {
		ctx, cancel := context.WithTimeoutCause(ctx, max(left, 0), errOverdue)
		defer cancel()
		reason, ok := h.check(ctx, *t.HTTP)
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.asking, t.ID)
		switch {
		case ok:
			h.finish(r, TaskSucceeded, "", "")
		case errors.Is(context.Cause(ctx), errOverdue), ctx.Err() == nil:
			h.finish(r, TaskFailed, reason, "")
		}
		// Else the agent ends: whoever takes the host up asks again, which does nothing twice.
	})
}

var errOverdue = errors.New("the time for the task is over")

// check asks each wanted instance of a version; where one is not healthy yet it waits.
func (h *Host) check(ctx context.Context, c HTTPCheck) (reason string, ok bool) {
	done := map[string]bool{}
	for {
		ports, waiting := h.toAsk(c)
		for id, port := range ports {
			if done[id] {
				continue
			}
			if why := askOne(ctx, port, c); why != "" {
				if ctx.Err() != nil {
					return fmt.Sprintf("%s: %s", id, why), false
				}
				return fmt.Sprintf("%s on %s: %s", c.Path, id, why), false
			}
			done[id] = true
		}
		if waiting == "" {
			return "", true
		}
		select {
		case <-ctx.Done():
			return "there was nobody to ask in time: " + waiting, false
		case <-time.After(askAgain):
		}
	}
}

// toAsk are the ports of the healthy ones among the wanted instances of a version, and what is waited for.
func (h *Host) toAsk(c HTTPCheck) (ports map[string]int, waiting string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ports = map[string]int{}
	state := map[string]process.Status{}
	for _, st := range h.supervisor.List() {
		state[st.ID] = st
	}
	wanted := 0
	for _, i := range h.desired.Instances {
		if i.Service != c.Service || i.Version != c.Version {
			continue
		}
		wanted++
		st := state[i.Spec.ID]
		if !st.Well() {
			waiting = i.Spec.ID + " is not healthy"
			continue
		}
		port := st.Ports[c.Port]
		if port == 0 {
			waiting = i.Spec.ID + " has no port " + c.Port
			continue
		}
		ports[i.Spec.ID] = port
	}
	if wanted == 0 {
		waiting = "no instance of " + c.Version + " is wanted here"
	}
	return ports, waiting
}

// askOne asks one instance and says what is wrong with the answer; empty is nothing.
func askOne(ctx context.Context, port int, c HTTPCheck) string {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(port))+c.Path, nil)
	if err != nil {
		return err.Error()
	}
	r.Close = true
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, Proxy: nil}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // what it says beside its status is not looked at
	want := c.Status
	if want == 0 {
		want = http.StatusOK
	}
	if res.StatusCode != want {
		return fmt.Sprintf("it answers %d, not %d", res.StatusCode, want)
	}
	return ""
}

// dataFolder makes the folder of a service that outlives its versions, and adds it to the environment as GANTRY_DATA.
func (h *Host) dataFolder(service string, env map[string]string) (map[string]string, error) {
	for part := range strings.SplitSeq(service, "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsAny(part, `\:`) {
			return nil, fmt.Errorf("the service %q cannot have a folder of its own", service)
		}
	}
	dir, err := filepath.Abs(filepath.Join(h.o.Dir, "data", filepath.FromSlash(service)))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for the data of %s: %w", service, err)
	}
	out := make(map[string]string, len(env)+1)
	for k, v := range env {
		out[k] = v
	}
	out["GANTRY_DATA"] = dir
	return out, nil
}

// check says what can be seen to be wrong with a task.
func (t Task) check() error {
	switch {
	case t.ID == "" || len(t.ID) > 100 || strings.ContainsAny(t.ID, `/\`) || t.ID[0] == '.':
		return fmt.Errorf("a task has the ID %.120q, which cannot be one", t.ID)
	case (t.Instance == nil) == (t.HTTP == nil):
		return fmt.Errorf("the task %s: it runs something or asks something, one of the two", t.ID)
	case t.Timeout < 0:
		return fmt.Errorf("the task %s: its timeout is negative", t.ID)
	case t.HTTP != nil && !strings.HasPrefix(t.HTTP.Path, "/"):
		return fmt.Errorf("the task %s: the path %q does not begin with /", t.ID, t.HTTP.Path)
	case t.Instance != nil && len(t.Instance.Spec.Argv) == 0:
		return fmt.Errorf("the task %s: there is nothing to run", t.ID)
	}
	if t.Instance != nil {
		if _, err := bundle.ParseDigest(t.Instance.Bundle); err != nil {
			return fmt.Errorf("the task %s: %w", t.ID, err)
		}
	}
	return nil
}
