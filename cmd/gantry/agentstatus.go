package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/agent"
	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/cmd/gantry/internal/tables"
)

// agentStatus is what "gantry agent status" says as JSON.
type agentStatus struct {
	// Running says whether an agent works in the folder now; what it runs goes on without one.
	Running bool   `json:"running"`
	Folder  string `json:"folder"`
	link.Status
}

func (o *agentOptions) statusCommand() *cobra.Command {
	form := choiceFlag{value: "text", allowed: []string{"text", "json"}}
	cmd := &cobra.Command{
		Use: "status", Short: "Say what the agent of this host runs, and whether it reaches its server",
		Long: "Status says what the agent of a folder runs: instances with their health and ports, addresses, and who has which share of the traffic. It asks nobody\n" +
			"but the folder, so it works while the server is away.\n\nExit codes: 0 an agent runs; 1 none does, and what was last said is shown; 2 the folder is no agent's.",
		Example: "  gantry agent status\n  gantry agent status --dir /var/lib/gantry-agent -o json", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := o.folder()
			if err != nil {
				return err
			}
			s, err := link.ReadStatus(dir)
			if errors.Is(err, link.ErrNoStatus) {
				return usagef("%s is no agent's folder: no agent has worked there; name another one by --dir", dir)
			}
			if err != nil {
				return err
			}
			running, err := isHeld(dir)
			if err != nil {
				return err
			}
			all := agentStatus{Running: running, Folder: dir, Status: s}
			if form.value == "json" {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				err = enc.Encode(all)
			} else {
				err = all.write(cmd.OutOrStdout(), time.Now())
			}
			if err == nil && !running {
				return told(exitFailed)
			}
			return err
		},
	}
	registerChoice(cmd, &form, "output", "o", "form of the output: text, json")
	return cmd
}

// write says all of it to people.
func (s *agentStatus) write(w io.Writer, now time.Time) error {
	state := fmt.Sprintf("runs for %s as process %d", tables.Span(now.Sub(s.Started)), s.PID)
	if !s.Running {
		state = fmt.Sprintf("does not run; this is what it said %s ago, and what it has started goes on", tables.Span(now.Sub(s.At)))
	}
	if !s.Running && !s.Stopped.IsZero() {
		state = fmt.Sprintf("was stopped %s ago with all that it ran", tables.Span(now.Sub(s.Stopped)))
	}
	server := s.Server
	switch {
	case s.Trouble != "" && s.Reached.IsZero():
		server += ", not reached: " + s.Trouble
	case s.Trouble != "":
		server += fmt.Sprintf(", not reached for %s: %s", tables.Span(now.Sub(s.Reached)), s.Trouble)
	case s.Running:
		server += ", reached"
	}
	text := &sheet{w: w}
	text.write(nil, [][]string{
		{"agent", s.Name + " " + state}, {"gantry", s.Version}, {"folder", s.Folder}, {"server", server},
		{"certificate", "good until " + s.Certificate.Local().Format(time.DateTime)},
	})
	o := &s.Observed
	switch {
	case !s.Running && !s.Stopped.IsZero():
		text.write(nil, [][]string{{"Nothing runs. The next agent starts what was released to this host: gantry agent --dir " + s.Folder}})
	case len(o.Instances) == 0:
		text.write(nil, [][]string{{"It runs nothing: nothing was released to this host."}})
	}
	var instances, weights [][]string
	for _, i := range slices.SortedFunc(slices.Values(o.Instances), byService) {
		instances = append(instances, []string{i.Labels[agent.LabelService], i.Labels[agent.LabelVersion], i.ID, string(i.State), tables.Span(now.Sub(i.Since)), fmt.Sprint(i.Restarts), ports(i.Ports), i.Reason})
	}
	for _, service := range slices.Sorted(maps.Keys(o.Weights)) {
		for _, version := range slices.Sorted(maps.Keys(o.Weights[service])) {
			weights = append(weights, []string{service, version, fmt.Sprintf("%g %%", float64(o.Weights[service][version])/100)})
		}
	}
	text.write([]string{"SERVICE", "VERSION", "INSTANCE", "STATE", "FOR", "RESTARTS", "PORTS", "REASON"}, instances)
	text.write([]string{"LISTENER", "ADDRESS"}, byKey(o.Addresses))
	text.write([]string{"TRAFFIC OF", "VERSION", "SHARE"}, weights)
	text.write([]string{"PROBLEM WITH", "WHAT"}, byKey(o.Problems))
	return text.err
}

// sheet writes tables one below the other, with an empty line between them, until something goes wrong.
type sheet struct {
	w     io.Writer
	begun bool
	err   error
}

// write adds a table, if it has rows.
func (t *sheet) write(heads []string, rows [][]string) {
	if len(rows) == 0 || t.err != nil {
		return
	}
	if t.begun {
		fmt.Fprintln(t.w)
	}
	t.begun = true
	if heads != nil {
		rows = append([][]string{heads}, rows...)
	}
	t.err = tables.Write(t.w, rows...)
}

// byKey are the rows of a map, in the order of its keys.
func byKey(m map[string]string) (rows [][]string) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		rows = append(rows, []string{key, m[key]})
	}
	return rows
}

func byService(a, b process.Status) int {
	return cmp.Or(cmp.Compare(a.Labels[agent.LabelService], b.Labels[agent.LabelService]), cmp.Compare(a.Labels[agent.LabelVersion], b.Labels[agent.LabelVersion]), cmp.Compare(a.ID, b.ID))
}

func ports(all map[string]int) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, fmt.Sprintf("%s %d", name, all[name]))
	}
	return strings.Join(list, ", ")
}
